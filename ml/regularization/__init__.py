"""Techniques against overfitting, one a file, each a pure function."""
