from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pytest

from ml.errors import ConfigError, SamplingError
from ml.evaluation import surprisal
from ml.language_model import FloatArray, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.sampling.controls import Controls
from ml.sampling.engine import sample
from ml.text.subwords import MINIMUM_SIZE, SubwordTokenizer
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import learn_tokenizer
from ml.text.words import WordTokenizer


@dataclass(frozen=True)
class Nothing:
    """The state of a model that remembers nothing: B rows of it."""

    rows: int

    def take(self, rows: TokenArray) -> Self:
        return type(self)(len(rows))

    @classmethod
    def join(cls, states: Sequence[Self]) -> Self:
        return cls(sum(state.rows for state in states))


@dataclass
class Forgetful:
    """Says each token with a fixed probability; counts what it reads."""

    probabilities: list[float]
    steps: list[int] = field(default_factory=list)

    @property
    def vocabulary_size(self) -> int:
        return len(self.probabilities)

    @property
    def parameters(self) -> int:
        return len(self.probabilities)

    def initial_state(self, batch_size: int) -> Nothing:
        return Nothing(batch_size)

    def step(self, tokens: TokenArray, state: Any) -> tuple[FloatArray, Nothing]:
        assert len(tokens) == state.rows
        self.steps.append(len(tokens))
        with np.errstate(divide="ignore"):
            row = np.log(np.array(self.probabilities, dtype=np.float32))
        return np.tile(row, (len(tokens), 1)), Nothing(len(tokens))

    def score(self, tokens: TokenArray) -> FloatArray:
        return np.log(np.array(self.probabilities, dtype=np.float32))[tokens]


@dataclass(frozen=True)
class Parrot:
    model: KneserNey
    tokenizer: Tokenizer


@pytest.fixture(scope="module", params=["words", "subwords"])
def parrot(request: pytest.FixtureRequest, small_corpus: list[str]) -> Parrot:
    tokenizer = learn_tokenizer(request.param, small_corpus, vocabulary_size=400)
    model = KneserNey.fit(
        tokenizer.encode_posts(small_corpus), order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    return Parrot(model, tokenizer)


def letters(probabilities: dict[str, float]) -> tuple[Forgetful, WordTokenizer]:
    """A model and tokenizer of one-letter words. `<unk>` and `<eos>` are said as often as given, else never."""
    words = sorted(word for word in probabilities if len(word) == 1)
    tokenizer = WordTokenizer.learn([" ".join(words)] * 2, vocabulary_size=100)
    order = ["<unk>", "<eos>", *words]
    return Forgetful([probabilities.get(word, 0.0) for word in order]), tokenizer


@pytest.mark.parametrize(
    "controls",
    [
        Controls(),
        Controls(temperature=1.6, top_p=0.9, max_characters=60),
        Controls(temperature=0.8, top_k=5, prompt="the old radio"),
    ],
)
def test_a_sentence_is_the_same_alone_and_in_any_batch(parrot: Parrot, controls: Controls) -> None:
    fifty = sample(parrot.model, parrot.tokenizer, n=50, controls=controls, seed=3)
    assert sample(parrot.model, parrot.tokenizer, n=1, controls=controls, seed=3) == fifty[:1]
    assert sample(parrot.model, parrot.tokenizer, n=7, controls=controls, seed=3) == fifty[:7]
    assert sample(parrot.model, parrot.tokenizer, n=50, controls=controls, seed=3, max_rows=3) == fifty


def test_another_seed_gives_other_sentences(parrot: Parrot) -> None:
    texts = {sample(parrot.model, parrot.tokenizer, n=1, seed=seed)[0].text for seed in range(10)}
    assert len(texts) > 5


def test_no_text_is_longer_than_allowed_or_blank_or_has_what_is_never_said(parrot: Parrot) -> None:
    controls = Controls(temperature=1.5, max_characters=30)
    texts = [sentence.text for sentence in sample(parrot.model, parrot.tokenizer, n=80, controls=controls, seed=1)]
    assert max(map(len, texts)) <= 30
    assert all(text.strip() for text in texts)
    assert not any("<unk>" in text or "<eos>" in text or "\ufffd" in text for text in texts)


def test_the_log_probability_is_that_of_the_model_not_of_the_controls(parrot: Parrot) -> None:
    compared = 0
    for sentence in sample(parrot.model, parrot.tokenizer, n=20, controls=Controls(temperature=0.6, top_k=10), seed=1):
        costs = [token.nats for token in surprisal(parrot.model, parrot.tokenizer, sentence.text)]
        if len(costs) != sentence.tokens:
            continue  # a text may be said in other subwords than the encoder chooses
        compared += 1
        assert sentence.log_probability == pytest.approx(-sum(costs), rel=1e-5)
        assert sentence.perplexity == pytest.approx(np.exp(sum(costs) / len(costs)), rel=1e-5)
    assert compared > 10


def test_what_was_said_after_the_prompt_is_counted_with_its_eos() -> None:
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    for sentence in sample(model, tokenizer, n=20, controls=Controls(prompt="a a"), seed=1):
        assert sentence.text.startswith("a a")
        assert sentence.tokens == len(sentence.text.split()) - 2 + 1
        assert sentence.log_probability == pytest.approx(sentence.tokens * np.log(0.5), rel=1e-6)
        assert sentence.perplexity == pytest.approx(2, rel=1e-6)


def test_the_prompt_is_read_once_for_all(parrot: Parrot) -> None:
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    sample(model, tokenizer, n=30, controls=Controls(prompt="a a a a a"), seed=1)
    assert model.steps[:6] == [1] * 6
    assert model.steps[6] > 1
    texts = [s.text for s in sample(parrot.model, parrot.tokenizer, n=9, controls=Controls(prompt="the old"), seed=1)]
    assert all(text.startswith("the old") for text in texts)
    assert len(set(texts)) > 3


def test_a_prompt_outside_the_vocabulary_is_repeated_as_it_was_given() -> None:
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    for prompt in ("Ünknown  words ", "tail"):
        for sentence in sample(model, tokenizer, n=5, controls=Controls(prompt=prompt), seed=1):
            assert sentence.text.split(" a")[0] == prompt.rstrip()
            assert "<unk>" not in sentence.text


def test_finished_rows_make_room_and_the_batch_stays_full() -> None:
    model, tokenizer = letters({"a": 0.8, "<eos>": 0.2})
    sentences = sample(model, tokenizer, n=200, controls=Controls(max_characters=1000), seed=1, max_rows=8)
    said = sum(sentence.tokens for sentence in sentences)
    assert len(sentences) == 200
    assert max(model.steps) <= 8
    assert len(model.steps) < 1.2 * said / 8


def test_frequencies_of_sentences_are_those_of_the_model() -> None:
    model, tokenizer = letters({"a": 0.5, "b": 0.25, "<eos>": 0.25})
    n = 4000
    texts = [sentence.text for sentence in sample(model, tokenizer, n=n, seed=1)]
    for text, expected in {"a": 2 / 3 / 4, "b": 1 / 3 / 4, "a b": 2 / 3 / 16, "b a": 1 / 3 / 8}.items():
        assert texts.count(text) / n == pytest.approx(expected, abs=4 * np.sqrt(expected / n))


def test_unk_is_never_said_however_probable() -> None:
    model, tokenizer = letters({"<unk>": 0.9, "a": 0.05, "<eos>": 0.05})
    assert {word for s in sample(model, tokenizer, n=50, seed=1) for word in s.text.split()} == {"a"}


def test_a_model_that_never_says_eos_ends_in_an_error_that_says_what_to_change() -> None:
    model, tokenizer = letters({"a": 1.0})
    with pytest.raises(SamplingError, match=r"100 attempts: 100 longer than max_characters. Try more max_characters"):
        sample(model, tokenizer, n=3, controls=Controls(max_characters=20), seed=1)


def test_temperature_zero_is_not_tried_again() -> None:
    model, tokenizer = letters({"a": 0.6, "<eos>": 0.4})
    with pytest.raises(SamplingError, match=r"1 attempt: .* With temperature 0"):
        sample(model, tokenizer, n=1, controls=Controls(temperature=0, max_characters=20), seed=1)


def test_an_attempt_that_leads_to_a_word_before_unk_alone_is_made_again() -> None:
    """Counts without smoothing: after "b" they know `<unk>` and nothing else."""
    tokenizer = WordTokenizer.learn(["a b", "a <unk>"], vocabulary_size=10)
    posts = tokenizer.encode_posts(["a", "a a", "b <unk>"])
    model = MaximumLikelihood.fit(posts, order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    sentences = sample(model, tokenizer, n=200, seed=1)
    assert {sentence.text.split()[0] for sentence in sentences} == {"a"}
    assert all(np.isfinite(sentence.log_probability) for sentence in sentences)
    with pytest.raises(SamplingError, match="no token to draw"):
        sample(model, tokenizer, n=1, controls=Controls(prompt="b"), seed=1)
    only_b = MaximumLikelihood.fit(posts[-3:], order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    with pytest.raises(SamplingError, match="100 at a word after which there is none to say"):
        sample(only_b, tokenizer, n=1, seed=1)


def test_a_model_that_can_only_say_unk_or_eos_is_an_error() -> None:
    model, tokenizer = letters({"<unk>": 0.5, "<eos>": 0.5})
    with pytest.raises(SamplingError, match="no token to draw"):
        sample(model, tokenizer, n=1, seed=1)


def test_blank_and_broken_sentences_are_said_again() -> None:
    tokenizer = SubwordTokenizer.learn([], vocabulary_size=MINIMUM_SIZE)
    probabilities = [0.0] * tokenizer.vocabulary_size
    for text in (" ", "a", "🐦"):
        for token in tokenizer.encode(text):
            probabilities[token] += 1 / 8
    probabilities[tokenizer.eos] = 2 / 8
    texts = [sentence.text for sentence in sample(Forgetful(probabilities), tokenizer, n=300, seed=1)]
    assert all(text.strip() and "\ufffd" not in text for text in texts)
    assert any(" " in text for text in texts)


def test_only_blanks_to_say_is_an_error() -> None:
    tokenizer = SubwordTokenizer.learn([], vocabulary_size=MINIMUM_SIZE)
    probabilities = [0.0] * tokenizer.vocabulary_size
    probabilities[tokenizer.encode(" ")[0]] = probabilities[tokenizer.eos] = 0.5
    with pytest.raises(SamplingError, match="100 blank"):
        sample(Forgetful(probabilities), tokenizer, n=1, seed=1)


def test_a_prompt_as_long_as_allowed_leaves_only_the_end_to_say() -> None:
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    (sentence,) = sample(model, tokenizer, n=1, controls=Controls(prompt="a a", max_characters=3), seed=1)
    assert (sentence.text, sentence.tokens) == ("a a", 1)


def test_no_sentences_are_none_and_fewer_are_refused() -> None:
    model, tokenizer = letters({"a": 0.5, "<eos>": 0.5})
    assert sample(model, tokenizer, n=0, seed=1) == []
    for n, seed in ((-1, 0), (1, -1)):
        with pytest.raises(ConfigError, match="0 or more"):
            sample(model, tokenizer, n=n, seed=seed)
