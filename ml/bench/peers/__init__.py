"""What others would use: one file a peer, each with `measure(task) -> Row`."""
