"""PPMd compression: bits per byte from a program that knows nothing of language models.

What the test posts cost is what the compressed training text grows by when they are appended to it. Each post ends with
one newline byte, as in every score.
"""

import time
from typing import Final

import pyppmd

from ml.bench.row import Row, Task

ORDER: Final = 8
# The model of the whole text has to fit: when it is full PPMd starts again from nothing.
MEMORY: Final = 1 << 29


def measure(task: Task) -> Row:
    """Compress the training posts, then those and the test posts."""
    splits = task.corpus.read()
    train, test = text_of(splits.train), text_of(splits.test)
    began_at = time.perf_counter()
    alone = compressed_size(train)
    seconds = time.perf_counter() - began_at
    return Row(
        system=task.system,
        train_seconds=seconds,
        bits_per_byte=held_out_bits(alone, compressed_size(train + test)) / len(test),
        note=f"order {ORDER}",
    )


def text_of(posts: tuple[str, ...]) -> bytes:
    """The posts as bytes, each with its newline."""
    return "".join(f"{post}\n" for post in posts).encode()


def compressed_size(text: bytes) -> int:
    """In bytes, by PPMd variant H (Shkarin 2001; that of 7-Zip)."""
    return len(pyppmd.compress(text, max_order=ORDER, mem_size=MEMORY, variant="H"))


def held_out_bits(train: int, train_and_test: int) -> int:
    """What the test posts cost after the training posts, from two sizes in bytes."""
    return 8 * (train_and_test - train)
