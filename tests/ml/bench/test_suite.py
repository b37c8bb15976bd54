import dataclasses
from pathlib import Path

import pytest

from ml import preset
from ml.bench import suite
from ml.bench.systems import MODULES
from ml.errors import ConfigError


def test_every_kind_of_system_stands_in_some_suite() -> None:
    loaded = [suite.load(name) for name in suite.names()]
    assert {system.kind for one in loaded for system in one.systems} == MODULES.keys()


@pytest.mark.parametrize("name", suite.names())
def test_a_suite_names_known_presets_and_its_three_files(name: str) -> None:
    loaded = suite.load(name)
    assert {system.preset for system in loaded.systems} <= {"", *preset.names()}
    assert loaded.corpus.keys() == {"train", "valid", "test"}
    assert loaded.minutes > 0


def test_every_suite_is_described_in_the_documentation() -> None:
    described = (Path(__file__).parents[3] / "docs" / "benchmarks.md").read_text()
    assert [name for name in suite.names() if f"`{name}`" not in described] == []


def test_an_unknown_name_is_answered_with_all_names() -> None:
    with pytest.raises(ConfigError) as refused:
        suite.load("nothing")
    assert all(name in str(refused.value) for name in suite.names())


def test_only_keeps_the_order_of_the_suite_and_refuses_strangers() -> None:
    loaded = suite.load("trump-words")
    assert [system.name for system in loaded.choose(["lstm-kn5", "kneser-ney"])] == ["kneser-ney", "lstm-kn5"]
    assert loaded.choose([]) == loaded.systems
    with pytest.raises(ConfigError, match="no system 'gpt'; it has kneser-ney"):
        loaded.choose(["gpt"])


def test_overridden_minutes_scale_the_budgets_of_all_systems() -> None:
    shorter = suite.System(name="a", kind="ppmd", minutes=3)
    loaded = dataclasses.replace(
        suite.load("trump-words"), minutes=12, systems=(shorter, suite.System(name="b", kind="ppmd"))
    )
    assert [loaded.minutes_of(system, None) for system in loaded.systems] == [3, 12]
    assert [loaded.minutes_of(system, 2) for system in loaded.systems] == [0.5, 2]
