"""From a snapshot of posts to an artifact."""
