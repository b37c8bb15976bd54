"""python -m app.bench: the serving benchmark."""

import signal
import sys
from types import FrameType

from app.bench.command import main


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """As Ctrl-C does: every block is left in order, and with it every child ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
