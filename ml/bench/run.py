"""Runs a suite: each system in a process of its own, one after the other, a row when it is done."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from ml.bench import trained
from ml.bench.apart import run_apart
from ml.bench.corpus import Corpus
from ml.bench.row import Curve, Row, Task
from ml.bench.suite import Suite, System
from ml.bench.systems import measure
from ml.errors import MlError


def run(
    suite: Suite,
    *,
    data: Path | None,
    minutes: float | None = None,
    only: Sequence[str] = (),
    seed: int = 1,
    begin: Callable[[System, float], None] = lambda _system, _minutes: None,
) -> Iterator[Row]:
    """The rows of a suite, each when its system has been measured.

    data: the folder of the corpora. minutes: instead of the suite's. only: names of systems. begin: told which system
    is measured next and with how many minutes.

    Raises CorpusError for a corpus that is not there and ConfigError for a system that is not; whatever goes wrong
    later is said in its row.
    """
    systems = suite.choose(only)
    corpora = {
        system.name: Corpus.find(system.corpus or suite.corpus, words=suite.words, data=data) for system in systems
    }
    bases = {system.base for system in systems}
    reference: Row | None = None
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as parent:
        for number, system in enumerate(systems):
            budget = suite.minutes_of(system, minutes)
            begin(system, budget)
            directory = Path(parent) / str(number)
            directory.mkdir()
            task = Task(
                system=system.name,
                preset=system.preset,
                overrides=system.overrides,
                corpus=corpora[system.name],
                minutes=budget,
                seed=seed,
                sentences=suite.sentences,
                copied_words=suite.copied_words,
                directory=directory,
                posts=system.posts,
                base=trained.artifact_in(Path(parent) / _place(system.base, systems)) if system.base else None,
            )
            row = _measure_apart(system.kind, task)
            if system.name == suite.reference:
                reference = row
            if system.name not in bases:
                shutil.rmtree(directory)
            yield row if reference is None else against(row, reference)


def _place(name: str, systems: Sequence[System]) -> str:
    """The folder of the system of this name."""
    return str([system.name for system in systems].index(name))


def against(row: Row, reference: Row) -> Row:
    """The row with the time to the reference's final validation perplexity, and how much sooner that is."""
    # From the curve, not from the final score: on both sides it is read in columns, with the same small loss.
    goal = min((perplexity for _, perplexity in reference.curve), default=None)
    needed, reached = _first(reference.curve, goal), _first(row.curve, goal)
    if needed is None or reached is None:
        return row
    return replace(row, reached_seconds=reached, speed_up=needed / reached)


def _first(curve: Curve, goal: float | None) -> float | None:
    """When a validation perplexity first was the goal or less."""
    return next((seconds for seconds, perplexity in curve if goal is not None and perplexity <= goal), None)


def _measure_apart(kind: str, task: Task) -> Row:
    """Measure in a fresh process; a row in any case."""
    try:
        return run_apart(measure, kind, task)
    except MlError as error:
        return Row(system=task.system, note=f"failed: {error}", failed=True)
    except BrokenProcessPool:
        return Row(system=task.system, note="failed: its process was ended, perhaps for want of memory", failed=True)
    except Exception as error:  # a defect in one peer should not cost the rows of an hour
        return Row(system=task.system, note=f"failed: {type(error).__name__}: {error}", failed=True)
