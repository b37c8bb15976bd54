import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from ml.errors import ConfigError
from ml.sampling.controls import Controls
from ml.sampling.shape import Shape
from ml.text.lengths import LENGTHS

DOCS = Path(__file__).parents[3] / "docs" / "sampling.md"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("top_k", 0),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_p", math.nan),
        ("typical_p", 0.0),
        ("typical_p", 1.1),
        ("typical_p", math.nan),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("min_p", math.nan),
        ("repetition_penalty", 0.9),
        ("repetition_penalty", math.nan),
        ("repetition_penalty", math.inf),
        ("max_characters", 0),
        ("min_characters", -1),
        ("min_characters", 281),
        ("max_tokens", 0),
        ("counted_as", "threads"),
        ("prompt", "x" * 281),
        ("prompt", "\ud83d"),
        ("stop", ("",)),
        ("stop", ("x" * 101,)),
        ("stop", ("x",) * 17),
        ("stop", "x"),
        ("stop", ("\ud83d",)),
        ("banned_words", ("",)),
        ("banned_words", ("  ",)),
        ("banned_words", ("\u200b",)),
        ("banned_words", ("x" * 101,)),
        ("banned_words", ("x",) * 1001),
        ("banned_words", "x"),
        ("banned_patterns", ("(",)),
        ("banned_patterns", (r"(x)\1",)),
        ("banned_patterns", ("(?=x)",)),
        ("banned_patterns", ("x*",)),
        ("banned_patterns", ("",)),
        ("banned_patterns", ("((x{90}){90}){90}",)),
        ("banned_patterns", ("x",) * 33),
        ("required", ("word",)),
        ("required", ("#",)),
        ("required", ("#a b",)),
        ("required", ("@a ",)),
        ("required", ("#a",) * 17),
        ("required", ("#" + "a" * 100,)),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{field} "):
        Controls(**{field: value})


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("min_characters", {"min_characters": 31, "max_characters": 30}),
        ("prompt", {"prompt": "一二三四", "max_characters": 7, "counted_as": "x"}),
        ("prompt", {"prompt": "See foo.com", "max_characters": 20, "counted_as": "x"}),
        ("prompt", {"prompt": "Oh, HELL no", "banned_words": ("hell",)}),
        ("prompt", {"prompt": "call 555-0100", "banned_patterns": (r"\d{3}-\d{4}",)}),
        ("required", {"required": ("#Sad",), "banned_words": ("sad",)}),
        ("required", {"required": ("#Sad",), "banned_patterns": ("#S",)}),
        ("required", {"required": ("#Sad",), "stop": ("Sa",)}),
        ("required", {"required": ("#Sad",), "stop": (" ",)}),
        ("required", {"required": ("#Sad",), "prompt": "Today", "max_characters": 9}),
        ("required", {"required": ("#Sad", "#Melancholy"), "prompt": "Today", "max_characters": 15}),
    ],
)
def test_values_that_contradict_each_other_are_refused_by_name(field: str, values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"^{field} "):
        Controls(**values)


def test_the_bounds_themselves_are_allowed() -> None:
    Controls(
        temperature=0, top_k=1, top_p=1.0, typical_p=1.0, min_p=1.0, max_characters=1, min_characters=1, prompt="x"
    )
    Controls(min_p=0, repetition_penalty=1, max_tokens=1, stop=("x" * 100,) * 16, banned_words=("x",) * 1000)
    Controls(banned_patterns=("z",) * 32, required=("#a", "@b", "@b@example.org"))
    Controls(required=("#Sad",), prompt="Today", max_characters=10)


def test_a_prompt_that_holds_a_required_tag_needs_no_room_for_another() -> None:
    Controls(required=("#sad",), prompt="Today #Sad", max_characters=10)


def test_a_prompt_is_counted_as_the_platform_counts() -> None:
    address = "https://example.com/" + "x" * 100
    Controls(prompt=address, max_characters=23, counted_as="x")
    Controls(prompt=address, max_characters=23, counted_as="mastodon")
    with pytest.raises(ConfigError, match=r"^prompt counts 120 as characters; max_characters allows 23"):
        Controls(prompt=address, max_characters=23)


def test_words_are_banned_whole_so_that_innocent_prompts_pass() -> None:
    assert Controls(prompt="Hello, shell", banned_words=("hell",)).banned.found("hello") is None


def test_controls_give_the_part_that_shapes_the_distribution() -> None:
    controls = Controls(temperature=0.7, top_k=3, top_p=0.9, typical_p=0.8, min_p=0.1, repetition_penalty=1.2)
    assert controls.shape == Shape(0.7, 3, 0.9, 0.8, 0.1)


def test_a_hostile_pattern_is_decided_in_time_that_grows_with_the_text_alone() -> None:
    """Backtracking would take 2^5000 steps here."""
    controls = Controls(banned_patterns=("(a+)+b", "(a|a)*c", "(.*)*d"))
    assert controls.banned.found("a" * 5000) is None
    assert controls.banned.found("a" * 5000 + "b") == "(a+)+b"


def test_every_control_and_every_way_to_count_has_its_row_in_the_documentation() -> None:
    rows = {line.split("`")[1] for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")}
    assert rows == {"counted_as", *(field.name for field in fields(Controls)), *LENGTHS}
