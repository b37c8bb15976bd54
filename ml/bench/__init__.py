"""Benchmarks: our presets and their peers on the same split in the same run, printed as one table."""
