"""What keeps a row from being measured."""


class BenchmarkError(Exception):
    """A row cannot be measured; the message says why and what to do."""


class ToolMissing(BenchmarkError):
    """A program or package is not installed: no failure of ours."""
