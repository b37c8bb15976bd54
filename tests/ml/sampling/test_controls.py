import math
from typing import Any

import pytest

from ml.errors import ConfigError
from ml.sampling.controls import Controls


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
        ("max_characters", 0),
        ("prompt", "x" * 281),
        ("prompt", "\ud83d"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{field} "):
        Controls(**{field: value})


def test_the_bounds_themselves_are_allowed() -> None:
    Controls(temperature=0, top_k=1, top_p=1.0, max_characters=1, prompt="x")
