"""Percentiles, and what the answers of the service hold."""

import json
from importlib.resources import files

import pytest

from app.bench.load import Load, Target, percentile, spoken_in


@pytest.mark.parametrize(("share", "value"), [(0.01, 1), (0.2, 1), (0.21, 2), (0.5, 3), (0.6, 3), (0.99, 5), (1.0, 5)])
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(share: float, value: float) -> None:
    assert percentile([4, 1, 5, 3, 2], share) == value


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.5], 0.5) == percentile([7.5], 0.99) == 7.5


def test_tokens_are_counted_as_the_answer_tells_them() -> None:
    sentences = [{"text": "Yes.", "tokens": tokens} for tokens in (20, 1, 33)]
    answer = json.dumps({"model": 1, "seed": 2, "sentences": sentences}).encode()
    assert spoken_in(answer) == (3, 54)
    assert spoken_in(b'{"status": "ok"}') == (0, 0)


def test_a_request_with_a_body_is_a_post_with_a_key() -> None:
    asked = Target(port=1, paths=("/a",), body="{}", key="secret")
    assert asked.method == "POST"
    assert asked.headers == {"Content-Type": "application/json", "Authorization": "Bearer secret"}
    assert (Target(port=1, paths=("/a",)).method, Target(port=1, paths=("/a",)).headers) == ("GET", {})


def test_only_answers_count_as_speed() -> None:
    assert Load(seconds=4, answered=10, errors=90, p50_ms=1, p99_ms=2).answers_per_second == 2.5


def test_the_script_of_wrk_is_part_of_the_package() -> None:
    assert (files("app.bench") / "load.lua").is_file()
