"""Stage 6: the public pages."""
