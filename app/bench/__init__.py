"""The serving benchmark: the service as a whole, from outside, beside what others do. `python -m app.bench`."""
