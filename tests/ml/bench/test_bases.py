"""Systems that go on from the model of another one, on the first posts of a corpus."""

from dataclasses import replace
from pathlib import Path

import pytest

from ml.bench import suite
from ml.bench.run import run
from ml.bench.suite import System
from ml.errors import ConfigError

TINY = {"model.hidden_size": 8, "model.embedding_size": 8, "text.vocabulary_size": 300, "training.epochs": 1}


def test_a_system_goes_on_from_its_base_with_fewer_posts(data: Path) -> None:
    transfer, corpus = suite.load("transfer"), suite.load("trump").corpus
    base, alone, tuned = (
        System(name=name, kind="preset", preset="lstm", overrides=TINY, posts=posts, base=of)
        for name, posts, of in (("base", 0, ""), ("alone", 40, ""), ("tuned", 40, "base"))
    )
    systems = (replace(base, corpus=corpus), alone, tuned)
    rows = {row.system: row for row in run(replace(transfer, systems=systems, corpus=corpus), data=data)}
    assert not any(row.failed for row in rows.values()), rows
    # With the tokenizer of its base it has as many parameters, whatever the forty posts alone would have carried.
    assert rows["tuned"].parameters == rows["base"].parameters
    assert rows["alone"].parameters != rows["base"].parameters


def test_who_asks_for_a_system_gets_its_base_too() -> None:
    chosen = suite.load("transfer").choose(["250 posts, from base"])
    assert [system.name for system in chosen] == ["base", "250 posts, from base"]


def test_a_base_has_to_be_measured_before() -> None:
    transfer = suite.load("transfer")
    with pytest.raises(ConfigError, match="which is not measured before it"):
        suite.check(replace(transfer, systems=transfer.systems[::-1]))
