"""Stage 5: when and where sentences become posts, each of them once."""
