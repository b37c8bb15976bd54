"""What the process of the service needs: memory with ten personas loaded, and time to its first sentence."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Final

from app.bench import personas
from app.bench.errors import ToolMissing
from app.bench.row import Row
from app.bench.service import answering, begun
from app.bench.stage import PERSONAS, Stage

STARTS: Final = 3
BYTES_A_KB: Final = 1024
MEGABYTE: Final = 1e6


def memory(stage: Stage) -> Iterator[Row]:
    """After each persona has said something. PSS: pages that processes share are counted in parts."""
    with answering(stage) as service:
        for handle in personas.handles(PERSONAS):
            service.say(handle)
        yield _memory_of(service.process.pid)


def _memory_of(pid: int) -> Row:
    process = Path("/proc") / str(pid)
    if not process.exists():
        raise ToolMissing("there is no /proc on this system to read memory from")
    kilobytes = rollup((process / "smaps_rollup").read_text())
    torch = "torch is imported" if "libtorch" in (process / "maps").read_text() else "without torch"
    return Row(
        name="memory",
        setting=f"{PERSONAS} personas asked",
        rss_mb=kilobytes["Rss"] * BYTES_A_KB / MEGABYTE,
        pss_mb=kilobytes["Pss"] * BYTES_A_KB / MEGABYTE,
        note=torch,
    )


def rollup(text: str) -> dict[str, int]:
    """The fields of /proc/PID/smaps_rollup, in kilobytes of 1024 bytes."""
    fields = (line.split() for line in text.splitlines()[1:])
    return {name.rstrip(":"): int(kilobytes) for name, kilobytes, *_ in fields}


def start(stage: Stage) -> Iterator[Row]:
    """From the begin of `mynah serve` to its first sentence; the database is up, the model's files are here."""
    (handle,) = personas.handles(1)
    seconds = [_start(stage, handle) for _ in range(STARTS)]
    row = Row(name="start", setting=f"to the first sentence, median of {STARTS}", seconds=median(seconds))
    yield replace(row, note=", ".join(f"{each:.2f}" for each in seconds))


def _start(stage: Stage, handle: str) -> float:
    with begun(stage) as service:
        return service.wait_for_sentence(handle)
