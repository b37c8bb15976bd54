"""Suites: named benchmarks as data (suites/*.toml), read into frozen dataclasses."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from ml import preset
from ml.bench.systems import MODULES
from ml.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class System:
    """A row of the table.

    kind: how it is measured (systems.py). preset, overrides: what to train; for a plain peer, whose sizes and
    tokenizer it takes. minutes: its budget where it is not the suite's. corpus: file names by split where it reads
    another corpus than the others. posts: the first so many training posts, 0 for all. base: the system before it from
    whose model its training goes on.
    """

    name: str
    kind: str
    preset: str = ""
    overrides: Mapping[str, object] = field(default_factory=dict)
    minutes: float | None = None
    corpus: Mapping[str, str] | None = None
    posts: int = 0
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A benchmark: a corpus, a budget and the systems that are compared.

    corpus: file names by split. words: whether tokens are the words of the files. sentences: how many to draw from
    each generator. copied_words: from how many words on a run that also stands in a training post counts as copied.
    reference: the system whose final perplexity the others, named after it, are timed to.
    """

    name: str
    description: str
    corpus: Mapping[str, str]
    words: bool
    minutes: float
    systems: tuple[System, ...]
    sentences: int = 0
    copied_words: int = 8
    reference: str | None = None

    def choose(self, only: Sequence[str]) -> tuple[System, ...]:
        """The systems with these names, and those they go on from, in the suite's order; all where none is named.

        Raises ConfigError.
        """
        known = [system.name for system in self.systems]
        if unknown := [name for name in only if name not in known]:
            raise ConfigError(f"{self.name} has no system {unknown[0]!r}; it has {', '.join(known)}.")
        wanted = {*only, *(system.base for system in self.systems if system.name in only)}
        return tuple(system for system in self.systems if not only or system.name in wanted)

    def minutes_of(self, system: System, override: float | None) -> float:
        """The budget of a system; where the suite's is overridden, all scale with it."""
        minutes = self.minutes if system.minutes is None else system.minutes
        return minutes if override is None else minutes * override / self.minutes


def names() -> list[str]:
    """All suites, sorted."""
    folder = files("ml.bench") / "suites"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str) -> Suite:
    """A suite. Raises ConfigError, which lists the names, where there is none of that name."""
    if name not in names():
        raise ConfigError(f"There is no benchmark {name!r}; there are {', '.join(names())}.")
    text = (files("ml.bench") / "suites" / f"{name}.toml").read_text()
    data: dict[str, Any] = tomllib.loads(text)
    corpus = data.pop("corpus")
    words = corpus.pop("words")
    systems = tuple(System(**system) for system in data.pop("systems"))
    suite = Suite(name=name, corpus=corpus, words=words, systems=systems, **data)
    check(suite)
    return suite


def check(suite: Suite) -> None:
    """Raises ConfigError for a suite whose parts do not fit together."""
    known = [system.name for system in suite.systems]
    if len(set(known)) != len(known):
        raise ConfigError(f"Benchmark {suite.name} names a system twice.")
    if suite.reference not in {None, *known}:
        raise ConfigError(f"Benchmark {suite.name} compares with {suite.reference!r}, which it does not measure.")
    for number, system in enumerate(suite.systems):
        if system.base and system.base not in known[:number]:
            raise ConfigError(f"{system.name} goes on from {system.base!r}, which is not measured before it.")
        if system.kind not in MODULES:
            raise ConfigError(f"{system.name} is of kind {system.kind!r}; there are {', '.join(MODULES)}.")
        if system.preset:
            preset.load(system.preset, system.overrides)
