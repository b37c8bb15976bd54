"""Many requests at once: what each gets, in what order, and what ends them."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ml.errors import QueueFull, SamplingError
from ml.language_model import FloatArray, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.sampling.batch import Batch
from ml.sampling.controls import Controls
from ml.sampling.engine import SamplingEngine, draw_all
from ml.sampling.request import Reading, Request, Speech
from ml.sampling.sentence import Sentence
from ml.sampling.voice import Voice
from ml.serving.speaker import PlainSpeaker
from ml.text.tokenizers import learn_tokenizer
from tests.ml.sampling.test_engine import Nothing, letters

SECONDS = 30  # a test that waits longer has failed


@pytest.fixture
def engine() -> Iterator[SamplingEngine]:
    engine = SamplingEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def voice(small_corpus: list[str]) -> Voice:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    tokens = tokenizer.encode_posts(small_corpus)
    model = KneserNey.fit(tokens, order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    return Voice(PlainSpeaker(model), tokenizer)


@dataclass
class Gate:
    """A speaker that never says `<eos>`, and steps only when it is let."""

    opened: threading.Event = field(default_factory=threading.Event)
    entered: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    @property
    def vocabulary_size(self) -> int:
        return 3

    def initial_state(self, batch_size: int) -> Nothing:
        return Nothing(batch_size)

    def step(self, tokens: TokenArray, state: Any) -> tuple[FloatArray, Nothing]:
        self.entered.set()
        assert self.opened.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return np.tile(np.array([0, 0, 1], dtype=np.float32), (len(tokens), 1)), Nothing(len(tokens))

    def rest(self) -> None: ...


def gated() -> tuple[Gate, Voice]:
    _, tokenizer = letters({"a": 1.0})
    gate = Gate()
    return gate, Voice(gate, tokenizer)


def submitted(engine: SamplingEngine, request: Request) -> threading.Event:
    over = threading.Event()
    engine.submit(request, over.set)
    return over


def endless(voice: Voice, *, n: int = 1) -> Speech:
    return Speech(voice, Controls(max_characters=10**9), n=n, seed=1)


MIXED = [
    Controls(),
    Controls(temperature=1.4, top_p=0.9),
    Controls(temperature=0.7, top_k=7, prompt="the old"),
    Controls(min_p=0.05, repetition_penalty=1.3, max_characters=40),
    Controls(temperature=0, prompt="my neighbour"),
    Controls(typical_p=0.8, stop=("the",), min_characters=12),
]


def test_requests_of_many_threads_get_what_they_would_get_alone(engine: SamplingEngine, voice: Voice) -> None:
    """Different controls and numbers of sentences share batches."""
    wanted = [(controls, 1 + seed % 5, seed) for seed, controls in enumerate(MIXED * 6)]
    speeches = [Speech(voice, controls, n=n, seed=seed) for controls, n, seed in wanted]
    overs: list[threading.Event] = []
    lock = threading.Lock()

    def submit(some: list[Speech]) -> None:
        for speech in some:
            over = submitted(engine, speech)
            with lock:
                overs.append(over)

    threads = [threading.Thread(target=submit, args=(speeches[part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(over.wait(SECONDS) for over in overs)
    alone = Voice(voice.speaker, voice.tokenizer)
    for (controls, n, seed), speech in zip(wanted, speeches, strict=True):
        assert speech.error is None, speech.error
        assert speech.sentences == draw_all(Speech(alone, controls, n=n, seed=seed))


def test_a_short_request_does_not_wait_for_a_long_one(voice: Voice) -> None:
    batch = Batch(voice, now=lambda: 0.0)
    long, short = Speech(voice, Controls(), n=1000, seed=1), Speech(voice, Controls(), n=1, seed=2)
    batch.add(long)
    for _ in range(5):
        batch.turn()
    batch.add(short)
    while not short.over:
        batch.turn()
    assert long.waiting > 500
    assert short.sentences == draw_all(Speech(voice, Controls(), n=1, seed=2))


def test_a_request_whose_rows_go_on_and_on_makes_room_for_others(voice: Voice) -> None:
    """All rows of the batch are taken by sentences that will not end; they go on as if nothing had been."""
    long = Controls(min_characters=400, max_characters=900, top_k=3)
    batch = Batch(voice, now=lambda: 0.0, max_rows=8)
    first = Speech(voice, long, n=12, seed=1)
    batch.add(first)
    batch.turn()
    others = [Speech(voice, Controls(), n=3, seed=seed) for seed in range(4)]
    for other in others:
        batch.add(other)
    while not all(other.over for other in others):
        assert not first.over
        batch.turn()
    for seed, other in enumerate(others):
        assert other.sentences == draw_all(Speech(voice, Controls(), n=3, seed=seed))
    while not first.over:
        batch.turn()
    assert first.error is None
    assert first.sentences == draw_all(Speech(voice, long, n=12, seed=1))
    assert all(400 <= len(sentence.text) <= 900 for sentence in first.sentences)
    assert batch.idle


def test_voices_take_turns(engine: SamplingEngine) -> None:
    """A voice with endless work leaves another one its turns."""
    gate, busy = gated()
    gate.opened.set()
    over = submitted(engine, endless(busy, n=64))
    assert gate.entered.wait(SECONDS)
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    quick = Speech(Voice(PlainSpeaker(model), tokenizer), Controls(), n=20, seed=1)
    assert submitted(engine, quick).wait(SECONDS)
    assert len(quick.sentences) == 20
    assert not over.is_set()


def test_a_request_that_is_cancelled_gives_its_rows_back(engine: SamplingEngine) -> None:
    gate, voice = gated()
    gate.opened.set()
    request = endless(voice, n=100)
    over = submitted(engine, request)
    assert gate.entered.wait(SECONDS)
    request.cancel()
    assert over.wait(SECONDS)
    assert engine.waiting == 0


def test_what_waits_is_bounded_and_the_refusal_says_when_to_come_back() -> None:
    engine = SamplingEngine(max_waiting=100)
    gate, voice = gated()
    other, _ = gated()
    try:
        first = endless(voice, n=50)
        over = submitted(engine, first)
        assert gate.entered.wait(SECONDS)
        with pytest.raises(QueueFull) as refused:
            engine.submit(endless(voice, n=1), lambda: None)
        assert 1 <= refused.value.retry_after_seconds <= 60
        beside = endless(Voice(other, voice.tokenizer), n=60)
        over_beside = submitted(engine, beside)  # half of the room is for other voices
        with pytest.raises(QueueFull):
            engine.submit(endless(Voice(other, voice.tokenizer), n=1), lambda: None)
        for request in (first, beside):
            request.cancel()
        gate.opened.set()
        other.opened.set()
        assert over.wait(SECONDS)
        assert over_beside.wait(SECONDS)
        model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
        assert submitted(engine, Speech(Voice(PlainSpeaker(model), tokenizer), Controls(), n=3, seed=1)).wait(SECONDS)
    finally:
        gate.opened.set()
        other.opened.set()
        engine.close()


def test_a_voice_that_breaks_ends_its_own_requests_only(engine: SamplingEngine) -> None:
    gate, voice = gated()
    gate.error = ValueError("no numbers")
    gate.opened.set()
    request = endless(voice)
    assert submitted(engine, request).wait(SECONDS)
    assert isinstance(request.error, ValueError)
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    quick = Speech(Voice(PlainSpeaker(model), tokenizer), Controls(), n=2, seed=1)
    assert submitted(engine, quick).wait(SECONDS)
    assert quick.error is None


def test_a_request_whose_time_is_over_ends_with_an_error(voice: Voice) -> None:
    time = [0.0]
    gate, slow = gated()
    gate.opened.set()
    batch = Batch(slow, now=lambda: time[0])
    request = Speech(slow, Controls(max_characters=10**9), n=1, seed=1, until=20.0)
    batch.add(request)
    assert batch.turn() == []
    time[0] = 20.5
    assert batch.turn() == [request]
    with pytest.raises(SamplingError, match="too long"):
        raise request.error or AssertionError
    assert batch.idle


def test_when_time_is_over_the_error_says_what_was_in_the_way(voice: Voice) -> None:
    time = [0.0]
    batch = Batch(voice, now=lambda: time[0])
    request = Speech(voice, Controls(), n=1, seed=1, until=20.0, refuse=lambda text: "copied")
    batch.add(request)
    while not request.given_up:
        batch.turn()
    time[0] = 21.0
    assert batch.turn() == [request]
    assert isinstance(request.error, SamplingError)
    assert "1 refused as copied" in str(request.error)
    assert request.error.reasons == {"copied": 1}


def test_closing_ends_what_is_under_way_and_takes_no_more() -> None:
    engine = SamplingEngine()
    gate, voice = gated()
    gate.opened.set()
    request = endless(voice)
    over = submitted(engine, request)
    assert gate.entered.wait(SECONDS)
    engine.close()
    assert over.is_set()
    with pytest.raises(SamplingError, match="stopping"):
        raise request.error or AssertionError
    with pytest.raises(SamplingError, match="stopping"):
        engine.submit(endless(voice), lambda: None)


def test_a_reading_costs_what_the_model_says(engine: SamplingEngine, voice: Voice, small_corpus: list[str]) -> None:
    tokens = voice.tokenizer.encode_posts(small_corpus[:1])
    reading = Reading(voice, tokens.tolist())
    assert submitted(engine, reading).wait(SECONDS)
    assert isinstance(voice.speaker, PlainSpeaker)
    expected = voice.speaker._model.score(tokens)
    np.testing.assert_allclose(reading.prompt_costs, expected, rtol=1e-5)
    nothing = Reading(voice, [])
    assert submitted(engine, nothing).wait(SECONDS)
    assert nothing.prompt_costs == []


def test_refused_sentences_are_drawn_again_and_counted(voice: Voice) -> None:
    speech = Speech(voice, Controls(), n=30, seed=1, refuse=lambda text: "with a boat" if "boat" in text else None)
    sentences = draw_all(speech)
    assert not any("boat" in sentence.text for sentence in sentences)
    assert speech.given_up["with a boat"] > 0
    plain = draw_all(Speech(voice, Controls(), n=30, seed=1))
    kept = [sentence for sentence in plain if "boat" not in sentence.text]
    assert [sentence for sentence in sentences if sentence in plain] == kept


def test_when_every_sentence_is_refused_the_error_names_the_filter(voice: Voice) -> None:
    with pytest.raises(SamplingError, match=r"100 attempts: \d+ refused as copied.* Relax that filter") as failed:
        draw_all(Speech(voice, Controls(), n=2, seed=1, refuse=lambda text: "copied"))
    assert failed.value.reasons["copied"] > 50
    assert sum(failed.value.reasons.values()) == 100


def test_a_listener_hears_every_token_and_the_end(voice: Voice) -> None:
    said: dict[tuple[int, int], list[int]] = {}
    finished: dict[int, Sentence] = {}
    given_up: list[tuple[int, int, str]] = []

    class Ear:
        def said(self, attempt: Any) -> None:
            said[attempt.sentence, attempt.number] = list(attempt.said)

        def gave_up(self, attempt: Any, reason: str) -> None:
            given_up.append((attempt.sentence, attempt.number, reason))

        def finished(self, number: int, sentence: Sentence) -> None:
            finished[number] = sentence

    speech = Speech(voice, Controls(max_characters=30), n=20, seed=1, listener=Ear())
    sentences = draw_all(speech)
    assert [finished[number] for number in range(20)] == sentences
    assert sum(speech.given_up.values()) == len(given_up) > 0
    for number, sentence in finished.items():
        last = max(attempt for which, attempt in said if which == number)
        assert tuple(said[number, last]) == sentence.token_ids


@pytest.mark.parametrize(
    ("controls", "holds"),
    [
        (Controls(min_characters=30), lambda s: len(s.text) >= 30),
        (Controls(max_tokens=4), lambda s: s.tokens <= 4 and (s.finish == "length") == (s.tokens == 4)),
        (Controls(stop=("the",), min_characters=4), lambda s: "the" not in s.text),
        (
            Controls(banned_words=("boat", "radio", "city")),
            lambda s: not {"boat", "radio", "city"} & set(s.text.split()),
        ),
        (Controls(banned_patterns=(r"#\w+",)), lambda s: "#birds" not in s.text),
        (Controls(required=("#news", "@mynah"), max_characters=60), lambda s: s.text.endswith((" #news", " @mynah"))),
        (Controls(required=("#birds",)), lambda s: "#birds" in s.text and len(s.text) <= 280),
        (Controls(required=("#birds",), stop=("!",)), lambda s: "#birds" in s.text and "!" not in s.text),
        (Controls(required=("#birds",), max_tokens=25), lambda s: "#birds" in s.text and s.tokens <= 25),
        (Controls(stop=("at night", "!"), max_characters=90), lambda s: "at night" not in s.text and "!" not in s.text),
    ],
)
def test_a_control_holds_for_every_sentence(controls: Controls, holds: Any, voice: Voice) -> None:
    sentences = draw_all(Speech(voice, controls, n=60, seed=5))
    assert all(holds(sentence) and len(sentence.text) <= controls.max_characters for sentence in sentences)
    assert len({sentence.text for sentence in sentences}) > 10
