"""Whether a model is right as often as it is sure: by hand, and for models whose truth is known."""

import numpy as np
import pytest

from ml.errors import EvaluationError
from ml.evaluation.calibration import calibration, in_bins
from ml.models.kneser_ney import KneserNey
from ml.text.tokenizers import learn_tokenizer


def test_the_error_is_the_mean_over_the_places_of_what_their_bins_are_off() -> None:
    confidence = np.array([0.05, 0.62, 0.68, 0.95, 1.0])
    right = np.array([True, True, False, True, True])
    found = in_bins(confidence, right)
    assert [(part.tokens, part.accuracy) for part in found.bins] == [(1, 1.0), (2, 0.5), (2, 1.0)]
    assert [part.confidence for part in found.bins] == pytest.approx([0.05, 0.65, 0.975])
    assert found.error == pytest.approx((1 * 0.95 + 2 * 0.15 + 2 * 0.025) / 5)


def test_probabilities_that_are_true_have_hardly_an_error_and_boasts_have_one() -> None:
    random = np.random.default_rng(1)
    confidence = random.uniform(0.1, 0.9, size=50_000)
    right = random.random(50_000) < confidence
    assert in_bins(confidence, right).error < 0.02
    assert in_bins(np.minimum(confidence + 0.1, 1), right).error == pytest.approx(0.1, abs=0.02)


def test_each_token_is_looked_at_once_as_a_step_at_a_time_would(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=300)
    tokens = tokenizer.encode_posts(small_corpus[:200])
    model = KneserNey.fit(tokens, order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    posts = small_corpus[200:]
    confidence, right = [], []
    for post in posts:
        state, read = model.initial_state(1), tokenizer.eos
        for token in [*tokenizer.encode(post), tokenizer.eos]:
            log_probs, state = model.step(np.array([read]), state)
            confidence.append(float(np.exp(log_probs[0].astype(np.float64)).max()))
            right.append(bool(log_probs[0].argmax() == token))
            read = token
    found, wanted = calibration(model, tokenizer, posts), in_bins(np.array(confidence), np.array(right))
    assert found.tokens == wanted.tokens
    assert found.error == pytest.approx(wanted.error, abs=1e-6)
    assert [(part.tokens, part.accuracy) for part in found.bins] == [
        (part.tokens, part.accuracy) for part in wanted.bins
    ]


def test_without_posts_there_is_nothing_to_be_right_about(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("words", small_corpus, vocabulary_size=100)
    tokens = tokenizer.encode_posts(small_corpus)
    model = KneserNey.fit(tokens, order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    with pytest.raises(EvaluationError):
        calibration(model, tokenizer, [])
