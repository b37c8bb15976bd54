"""The child process that trains: start it, follow its lines, stop it. It shares nothing with us but a folder."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ml.training import events

LOG_FILE = "training.log"
# A child that is told to stop writes a checkpoint first.
STOP_SECONDS = 8.0
# After so long without a line we let the caller look whether the training is still wanted.
SILENCE_SECONDS = 2.0
# One event is one line; an epoch's is a few hundred bytes.
LONGEST_LINE_BYTES = 1 << 20


class ChildCrashed(Exception):
    """The child ended without a result; the message is the end of what it wrote to its log."""


@asynccontextmanager
async def training_child(directory: Path) -> AsyncIterator[AsyncIterator[events.Event | None]]:
    """Run `python -m ml train DIRECTORY`; yields its events. However the block is left, the child is gone after it.

    None stands for a while without an event. Iterating raises ChildCrashed when the child ends without saying
    `finished` or `failed`.
    """
    with (directory / LOG_FILE).open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ml", "train", str(directory), "--json", "--die-with-parent"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=LONGEST_LINE_BYTES,
            # A session of its own: Ctrl-C in the terminal reaches us only, and we stop it in order.
            start_new_session=True,
            env=_environment(),
        )
    try:
        yield _events(child, directory / LOG_FILE)
    finally:
        await asyncio.shield(_stop(child))


def _environment() -> dict[str, str]:
    """What a child that only computes needs: none of our settings, so none of our secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MYNAH_")}


async def _events(child: asyncio.subprocess.Process, log: Path) -> AsyncIterator[events.Event | None]:
    assert child.stdout is not None  # noqa: S101  it was asked for
    concluded = False
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await child.stdout.readline()
        except TimeoutError:
            yield None
            continue
        if not line:
            break
        event = events.from_line(line.decode())
        concluded = concluded or isinstance(event, events.Finished | events.Failed)
        yield event
    status = await child.wait()
    if not concluded:
        raise ChildCrashed(f"exit status {status}; {await asyncio.to_thread(_last_lines, log)}")


async def _stop(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _last_lines(log: Path, count: int = 5) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return " | ".join(lines[-count:]) or "it wrote no message"
