"""What a training tells, one JSON line an event."""

import json
import math
from dataclasses import replace

import pytest

from ml.training import events

EVERY_EVENT = [
    events.Started(posts={"train": 8}, tokens={"train": 80}, vocabulary_size=300, parameters=12),
    events.Progress(progress=0.5, epoch=1, tokens_per_second=1000.0, remaining_seconds=3.5),
    events.Epoch(epoch=1, train_perplexity=9.0, valid_perplexity=8.0, seconds=2.0, tokens_per_second=1e3),
    events.Evaluated(model="candidate", split="valid", nats=2.0, tokens=3, bytes=4, perplexity=1.9, bits_per_byte=0.7),
    events.Finished(artifact="artifact", parameters=12),
    events.Failed(type="corpus-too-small", detail="Add more posts — “more”.\nNow."),
]


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_from_its_one_line(event: events.Event) -> None:
    line = events.to_line(event)
    assert "\n" not in line
    assert events.from_line(line) == event


def test_an_infinite_figure_is_null_on_the_wire_and_infinite_again_behind_it() -> None:
    ruled_out = events.Evaluated(
        model="candidate", split="test", nats=math.inf, tokens=3, bytes=4, perplexity=math.inf, bits_per_byte=math.inf
    )
    line = events.to_line(ruled_out)
    figures = json.loads(line, parse_constant=pytest.fail)
    assert (figures["nats"], figures["perplexity"], figures["bits_per_byte"]) == (None, None, None)
    assert events.from_line(line) == ruled_out


def test_a_count_is_never_null() -> None:
    event = events.Evaluated(
        model="candidate", split="test", nats=1.0, tokens=3, bytes=4, perplexity=2.0, bits_per_byte=1.0
    )
    assert json.loads(events.to_line(event))["tokens"] == 3
    with pytest.raises(ValueError, match="not JSON compliant"):
        events.to_line(replace(event, nats=math.nan))


@pytest.mark.parametrize("line", ["", "{}", "[]", "nonsense", '{"event": "invented"}', '{"event": "failed"}'])
def test_a_line_that_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        events.from_line(line)
