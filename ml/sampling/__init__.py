"""From distributions to sentences."""
