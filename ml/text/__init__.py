"""From posts to token ids and back."""
