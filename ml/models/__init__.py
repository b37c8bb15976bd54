"""The language models, one family a file."""
