"""`python -m ml bench`: the options, and what is written where."""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ml.bench import machine, suite
from ml.bench.corpus import VARIABLE
from ml.bench.row import Row
from ml.bench.run import run
from ml.bench.suite import System
from ml.bench.table import render
from ml.errors import ConfigError


def add_options(parser: argparse.ArgumentParser, *, data: str | None) -> None:
    """The options of the command. data: the folder of the corpora where none is given."""
    parser.add_argument("name", nargs="?", help=f"one of {', '.join(suite.names())}; without it they are described")
    parser.add_argument(
        "--data", type=Path, default=data, help=f"folder of the benchmark corpora (default: ${VARIABLE})"
    )
    parser.add_argument("--minutes", type=float, help="training budget instead of the benchmark's own")
    parser.add_argument("--only", action="append", default=[], metavar="SYSTEM", help="only this one; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the rows there too, with all that was measured"
    )


def bench(arguments: argparse.Namespace) -> bool:
    """Measure; each row goes to stderr as it comes, the table to stdout. Whether all went well. Raises MlError."""
    if arguments.name is None:
        for name in suite.names():
            sys.stdout.write(f"{name:16} {suite.load(name).description}\n")
        return True
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise ConfigError(f"minutes is {arguments.minutes}; it has to be above 0.")
    chosen = suite.load(arguments.name)
    rows = []
    measured = run(
        chosen,
        data=arguments.data,
        minutes=arguments.minutes,
        only=arguments.only,
        seed=arguments.seed,
        begin=_tell_begin,
    )
    for row in measured:
        rows.append(row)
        sys.stderr.write(f"{render([row])}\n")
    facts = machine.facts()
    sys.stdout.write(f"`{_command(arguments)}`\n\n{facts}\n\n{render(rows)}\n")
    if arguments.json is not None:
        _write_json(arguments.json, name=chosen.name, facts=facts, rows=rows)
    return not any(row.failed for row in rows)


def _tell_begin(system: System, minutes: float) -> None:
    sys.stderr.write(f"\n{system.name} … (where it trains by the clock: {minutes:g} min)\n")
    sys.stderr.flush()


def _command(arguments: argparse.Namespace) -> str:
    """The command that prints the table again; where the corpora lie is the reader's own affair."""
    words = ["python", "-m", "ml", "bench", arguments.name]
    words += [] if arguments.minutes is None else ["--minutes", f"{arguments.minutes:g}"]
    words += [word for name in arguments.only for word in ("--only", name)]
    words += [] if arguments.seed == 1 else ["--seed", str(arguments.seed)]
    return shlex.join(words)


def _write_json(path: Path, *, name: str, facts: str, rows: Sequence[Row]) -> None:
    content = {"benchmark": name, "machine": facts, "rows": [_finite(asdict(row)) for row in rows]}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def _finite(measured: dict[str, object]) -> dict[str, object]:
    """JSON has no infinity; what a model rules out has no finite cost."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in measured.items()
    }
