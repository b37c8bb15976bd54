"""python -m app.bench: the serving benchmark."""

import sys

from app.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
