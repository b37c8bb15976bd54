"""Language models: text in, distributions over the next token out. Knows nothing of the service around it."""
