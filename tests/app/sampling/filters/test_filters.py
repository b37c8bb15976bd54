"""The registry: what a policy makes of it, and that no text makes a filter fail."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.personas.filter_policy import FilterPolicy
from app.sampling.filters import FILTERS, Filter, Reason, filters_for, first_refusal
from app.sampling.filters.blocklist import Blocklist
from ml.text.corpus_index import CorpusIndex

INDEX = CorpusIndex.of(["One two three four five six seven eight nine ten.", "Good night."])


def made(**policy: object) -> list[Filter]:
    return filters_for(
        FilterPolicy.model_validate(policy),
        corpus_index=INDEX,
        recent=["Posted lately."],
        blocklists=[Blocklist(["blorg"])],
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A new sentence.", None),
        ("Well, one two three four five six seven eight!", Reason.COPIED),
        ("good night.", Reason.REPEATED),
        ("posted lately.", Reason.REPEATED),
        ("half a (sentence", Reason.UNBALANCED),
        ("what a blorg", Reason.BLOCKED),
        ("hello @you", Reason.MENTION),
        ("you@example.org", Reason.ADDRESS),
    ],
)
def test_each_reason_is_given_by_its_filter(text: str, reason: Reason | None) -> None:
    refusal = first_refusal(made(), text)
    assert (None if refusal is None else refusal.reason) == reason


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"balanced": False}, "half a (sentence"),
        ({"allow_repeats": True}, "good night."),
        ({"allow_mentions": ["@You"]}, "hello @you"),
        ({"copied_words_limit": 9, "copied_share_limit": 1}, "Well, one two three four five six seven eight!"),
    ],
)
def test_a_policy_turns_its_filter_off(policy: dict[str, object], text: str) -> None:
    assert first_refusal(made(), text) is not None
    assert first_refusal(made(**policy), text) is None


def test_every_reason_is_documented() -> None:
    text = (Path(__file__).parents[4] / "docs" / "filters.md").read_text()
    assert all(f"\n## {reason}\n" in text for reason in Reason)
    assert all(f"`{field}`" in text for field in FilterPolicy.model_fields)
    assert set(FILTERS) <= {reason.value for reason in Reason}


@given(st.text(max_size=100) | st.text(alphabet="@.a1!()[]\"“”‘’:;'«» -_$0оñ坏\u200b\ud800\u0336", max_size=60))
def test_no_text_makes_a_filter_fail(text: str) -> None:
    for check in made():
        refusal = check(text)
        assert refusal is None or (refusal.detail and json.dumps(refusal.reason))
