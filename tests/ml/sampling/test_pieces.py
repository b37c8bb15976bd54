import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.models.kneser_ney import KneserNey
from ml.sampling.alternatives import likeliest
from ml.sampling.attempt import Attempt
from ml.sampling.controls import Controls
from ml.sampling.engine import draw_all
from ml.sampling.pieces import Detokenizer, GrowingText, pieces
from ml.sampling.request import Speech
from ml.sampling.sentence import Sentence
from ml.sampling.voice import Voice
from ml.serving.speaker import PlainSpeaker
from ml.text.subwords import SubwordTokenizer
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import learn_tokenizer

TEXTS = ["the €uro 👩‍👩‍👧 sings", "日本語 and नमस्ते", "café\n\n#tag @name", "plain words only", "👍👍🏽 again"]
BYTES = SubwordTokenizer.learn(["x"], vocabulary_size=257)


@pytest.fixture(scope="module", params=["words", "subwords"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return learn_tokenizer(request.param, TEXTS * 2, vocabulary_size=280)


@pytest.fixture(scope="module")
def voice(tokenizer: Tokenizer) -> Voice:
    model = KneserNey.fit(
        tokenizer.encode_posts(TEXTS * 20), order=4, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    return Voice(PlainSpeaker(model), tokenizer)


class Ear:
    """Listens to a speech and keeps the text of each attempt that came to an end, with what should have come of it."""

    def __init__(self) -> None:
        self.growing: dict[tuple[int, int], GrowingText] = {}
        self.heard: dict[tuple[int, int], list[str]] = {}
        self.latest: dict[int, tuple[int, int]] = {}
        self.refused: list[tuple[int, int]] = []
        self.whole: dict[tuple[int, int], str] = {}

    def said(self, attempt: Attempt) -> None:
        key = self.latest[attempt.sentence] = (attempt.sentence, attempt.number)
        growing = self.growing.setdefault(key, GrowingText(attempt.script))
        self.heard.setdefault(key, []).append(growing.read(attempt.said[-1:]))

    def gave_up(self, attempt: Attempt, reason: str) -> None:
        self.refused.append((attempt.sentence, attempt.number))

    def finished(self, number: int, sentence: Sentence) -> None:
        key = self.latest[number]
        self.heard[key].append(self.growing[key].finish(sentence))
        self.whole[key] = sentence.text


@given(st.lists(st.integers(0, 255), max_size=12), st.integers(0, 11))
@settings(max_examples=300)
def test_pieces_join_to_the_text_whatever_the_tokens(bytes_: list[int], begin: int) -> None:
    # What stands before is always whole, as a prompt is.
    before = BYTES.encode("é" * (begin % 3))
    whole = BYTES.decode([*before, *bytes_])
    joined = "".join(pieces(BYTES, bytes_, before=before))
    # Bytes that are no character yet are held back at the end.
    assert (BYTES.decode(before) + joined).rstrip("\ufffd") == whole.rstrip("\ufffd")
    assert whole.startswith(BYTES.decode(before) + joined)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_of_a_text_join_to_it(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode_posts([text]).tolist()
    found = pieces(tokenizer, tokens)
    assert "".join(found) == tokenizer.decode(tokens)
    assert found[-1] == ""
    assert "\ufffd" not in "".join(found)
    cut = len(tokenizer.encode(text)) // 2
    before = tokenizer.decode(tokenizer.encode(text)[:cut])
    if not before.endswith("\ufffd"):
        assert before + "".join(pieces(tokenizer, tokens[cut:], before=tokens[:cut])) == tokenizer.decode(tokens)


def test_a_character_comes_with_its_last_byte() -> None:
    tokens = BYTES.encode("a👍b")
    assert pieces(BYTES, tokens) == ["a", "", "", "", "👍", "b"]
    detokenizer = Detokenizer(BYTES, tokens[:1])
    assert detokenizer.would_add(tokens[1]) is None
    assert detokenizer.would_add(tokens[-1]) == "b"


@pytest.mark.parametrize(
    "controls",
    [
        Controls(),
        Controls(prompt="the", temperature=1.2),
        Controls(prompt="the  ", stop=("s", "again", "日本")),
        Controls(stop=("si", "ngs", "plain w", "\n\n")),
        Controls(max_tokens=5, temperature=1.5),
        Controls(max_characters=16, min_characters=4),
        Controls(required=("#tag", "@name"), max_characters=60),
    ],
)
def test_what_is_heard_joins_to_the_sentence(voice: Voice, controls: Controls) -> None:
    ear = Ear()
    speech = Speech(voice, controls, n=40, seed=5, listener=ear)
    draw_all(speech)
    assert [ear.whole[ear.latest[number]] for number in range(40)] == [sentence.text for sentence in speech.sentences]
    for key, text in ear.whole.items():
        assert "".join(ear.heard[key]) == text
        assert ear.heard[key][0].startswith(controls.prompt.rstrip())


def test_no_part_of_a_stop_string_is_heard_before_it_is_certain(voice: Voice) -> None:
    ear = Ear()
    speech = Speech(voice, Controls(stop=("words only",)), n=60, seed=1, listener=ear)
    draw_all(speech)
    stopped = [key for key, text in ear.whole.items() if text == "plain "]
    assert stopped
    assert all("".join(ear.heard[key]) == "plain " for key in stopped)


def test_a_repeated_attempt_begins_its_text_anew(voice: Voice) -> None:
    ear = Ear()
    refuse = lambda text: "filtered" if "name" in text or "plain" in text else None  # noqa: E731
    draw_all(Speech(voice, Controls(), n=30, seed=2, refuse=refuse, listener=ear))
    assert ear.refused
    assert all("".join(ear.heard[key]) == text for key, text in ear.whole.items())


def test_the_likeliest_are_in_order_with_their_log_probabilities() -> None:
    row = np.array([0.1, 0.4, 0.0, 0.1, 0.25, 0.15], dtype=np.float32)
    assert [token for token, _ in likeliest(row, 3)] == [1, 4, 5]
    assert [token for token, _ in likeliest(row, 4)] == [1, 4, 5, 0]
    assert [token for token, _ in likeliest(row, 9)] == [1, 4, 5, 0, 3]
    assert dict(likeliest(row, 2)) == pytest.approx({1: np.log(0.4), 4: np.log(0.25)}, rel=1e-6)


def test_alternatives_are_noted_where_they_are_asked_for_and_change_nothing(voice: Voice) -> None:
    controls = Controls(prompt="the", temperature=1.5, top_k=8)
    plain = Speech(voice, controls, n=12, seed=3)
    asked = Speech(voice, controls, n=12, seed=3, alternatives=voice.tokenizer.vocabulary_size)
    draw_all(plain)
    draw_all(asked)
    assert len(asked.prompt_alternatives) == len(asked.prompt)
    for before, after in zip(plain.sentences, asked.sentences, strict=True):
        assert (before.text, before.log_probabilities) == (after.text, after.log_probabilities)
        assert before.alternatives == ()
        noted = zip(after.token_ids, after.log_probabilities, after.alternatives, strict=True)
        for token, log_probability, alternatives in noted:
            costs = dict(alternatives)
            assert costs[token] == pytest.approx(log_probability, rel=1e-6)
            assert sum(np.exp(cost) for cost in costs.values()) == pytest.approx(1, rel=1e-4)
