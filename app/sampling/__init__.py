"""Stage 4: sentences from promoted models."""
