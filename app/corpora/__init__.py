"""Corpora: uploaded files become posts, and posts become what a persona learns from."""
