"""`python -m app.bench`: the options, and what is written where."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from app.bench import goals
from app.bench.errors import BenchmarkError, ToolMissing
from app.bench.measures import MEASURES
from app.bench.row import Row, render
from app.bench.stage import Stage, find_corpus, open_stage
from ml.bench import machine
from ml.bench.corpus import VARIABLE
from ml.errors import ConfigError, MlError

NAME: Final = "serving"
DESCRIPTION: Final = "Sentences over HTTP at rising load, beside a bare route, the naive loop, markovify and the engine"
SECONDS: Final = 10.0
MINUTES: Final = 10.0
SUCCESS, FAILED, INTERRUPTED = 0, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 2 cannot be done or a row failed, 130 interrupted."""
    chosen = _parser().parse_args(arguments)
    try:
        return _bench(chosen)
    except MlError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app.bench", description=DESCRIPTION)
    parser.add_argument("--list", action="store_true", help="name and description in one line, and no more")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get(VARIABLE),
        help=f"folder of the benchmark corpora (default: ${VARIABLE})",
    )
    parser.add_argument("--artifact", type=Path, metavar="DIR", help="a trained model; without it one is trained first")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"of that training (default: {MINUTES:g})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of each load (default: {SECONDS:g})")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW", help=f"only these: {', '.join(MEASURES)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured there too")
    return parser


def _bench(chosen: argparse.Namespace) -> int:
    """Measure; each row goes to stderr as it comes, the tables to stdout. Raises MlError."""
    if chosen.list:
        sys.stdout.write(f"{NAME:16} {DESCRIPTION}\n")
        return SUCCESS
    _check(chosen)
    _tell(f"bringing up the service{'' if chosen.artifact else f', after {chosen.minutes:g} min of training'} …")
    rows = []
    with open_stage(
        corpus=find_corpus(chosen.data),
        trained_artifact=chosen.artifact,
        minutes=chosen.minutes,
        seconds=chosen.seconds,
    ) as stage:
        for row in measured_rows(stage, chosen.only or list(MEASURES)):
            rows.append(row)
            _tell(render([row]))
    facts = machine.facts()
    tables = "\n\n".join(table for table in (render(rows), goals.render(rows)) if table)
    sys.stdout.write(f"`{_command(chosen)}`\n\n{facts}\n\n{tables}\n")
    if chosen.json is not None:
        content = {"benchmark": NAME, "machine": facts, "rows": [asdict(row) for row in rows]}
        chosen.json.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return FAILED if any(row.failed for row in rows) else SUCCESS


def _check(chosen: argparse.Namespace) -> None:
    """Raises ConfigError for options that make no sense."""
    if unknown := [name for name in chosen.only if name not in MEASURES]:
        raise ConfigError(f"There is no row {unknown[0]!r}; there are {', '.join(MEASURES)}.")
    for name in ("seconds", "minutes"):
        if not 0 < getattr(chosen, name) <= 3600:
            raise ConfigError(f"{name} is {getattr(chosen, name):g}; it has to be above 0 and at most 3600.")


def measured_rows(stage: Stage, names: Sequence[str]) -> Iterator[Row]:
    """The rows in the order of the table; what cannot be measured is a row that says why."""
    for name, measure in MEASURES.items():
        if name not in names:
            continue
        _tell(f"\n{name} …")
        try:
            yield from measure(stage)
        except ToolMissing as error:
            yield Row(name=name, note=f"not measured: {error}")
        except Exception as error:  # a defect in one row should not cost the others
            told = "" if isinstance(error, BenchmarkError | MlError) else f"{type(error).__name__}: "
            yield Row(name=name, note=f"failed: {told}{error}", failed=True)


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _command(chosen: argparse.Namespace) -> str:
    """The command that prints the tables again; where things lie is the reader's own affair."""
    words = ["python", "-m", "app.bench"]
    words += ["--artifact", "…"] if chosen.artifact else []
    words += [] if chosen.artifact or chosen.minutes == MINUTES else ["--minutes", f"{chosen.minutes:g}"]
    words += [] if chosen.seconds == SECONDS else ["--seconds", f"{chosen.seconds:g}"]
    words += ["--only", *chosen.only] if chosen.only else []
    return shlex.join(words).replace("'…'", "…")
