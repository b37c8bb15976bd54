"""A closed loop by wrk: each of c connections sends its next request as soon as it has an answer.

wrk counts a latency of more than twice its connection's mean several times, as if requests had waited behind it: its
p99 is rather too high than too low.
"""

import json
import os
import shutil
import subprocess
from importlib.resources import as_file, files
from typing import Final

from app.bench.errors import BenchmarkError, ToolMissing
from app.bench.load import HOST, Load, Target

PROGRAM: Final = "wrk"
# An answer that takes longer counts as an error.
TIMEOUT_SECONDS: Final = 30
# Over the time that it was asked for: for the program to begin and to end.
GRACE_SECONDS: Final = 60


def closed_loop(target: Target, *, connections: int, seconds: float) -> Load:
    """Keep the connections busy for so long. Raises ToolMissing, BenchmarkError."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise ToolMissing("wrk is missing; install it: apt-get install wrk (brew install wrk)")
    with as_file(files("app.bench") / "load.lua") as script:
        command = [
            *(program, "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"),
            *("--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(script), f"http://{HOST}:{target.port}"),
            *("--", target.method, target.body, *target.paths),
        ]
        done = subprocess.run(  # noqa: S603  our own command
            command,
            env=os.environ | {"MYNAH_BENCH_KEY": target.key},
            capture_output=True,
            text=True,
            timeout=seconds + GRACE_SECONDS,
            check=False,
        )
    if done.returncode:
        raise BenchmarkError(f"wrk ended with code {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    load = load_of(done.stdout)
    if target.body and load.answered and not load.sentences:
        raise BenchmarkError("load.lua found no sentence in the answers. Teach it how they look now.")
    return load


def load_of(printed: str) -> Load:
    """What wrk measured, from the last line that it printed. Raises BenchmarkError."""
    lines = printed.strip().splitlines()
    try:
        figures = json.loads(lines[-1])
        answered = figures["requests"] - figures["refused"]
        return Load(
            seconds=figures["seconds"],
            answered=answered,
            errors=figures["refused"] + figures["broken"],
            p50_ms=figures["p50_ms"] if answered else None,
            p99_ms=figures["p99_ms"] if answered else None,
            sentences=figures["sentences"],
            tokens=figures["tokens"],
        )
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(f"wrk printed no figures: {printed.strip()[-300:] or 'nothing'}") from error
