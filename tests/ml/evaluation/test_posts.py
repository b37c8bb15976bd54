import math

import numpy as np
import pytest

from ml.errors import EvaluationError
from ml.evaluation import evaluate, score_posts, surprisal
from ml.language_model import FloatArray, TokenArray
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.score import ZERO, Score
from ml.text.tokenizers import learn_tokenizer


@pytest.mark.parametrize("kind", ["words", "subwords"])
def test_the_number_predicted_is_the_number_counted(kind: str, small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer(kind, small_corpus, vocabulary_size=400)
    uniform = KneserNey.fit(
        tokenizer.encode_posts([""]), order=1, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    score = evaluate(uniform, tokenizer, ["the rain", "🐦"])
    assert score.tokens == len(tokenizer.encode("the rain")) + len(tokenizer.encode("🐦")) + 2
    assert score.bytes == 8 + 1 + 4 + 1
    words, ends = score.tokens - 2, 2
    unseen, eos = 0.5 / tokenizer.vocabulary_size, 0.5 + 0.5 / tokenizer.vocabulary_size
    assert score.nats == pytest.approx(-words * math.log(unseen) - ends * math.log(eos), rel=1e-5)


def test_scores_of_parts_add_up_to_the_score_of_the_whole(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    model = KneserNey.fit(
        tokenizer.encode_posts(small_corpus), order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    whole = evaluate(model, tokenizer, small_corpus)
    parts = evaluate(model, tokenizer, small_corpus[:100]) + evaluate(model, tokenizer, small_corpus[100:])
    assert (parts.tokens, parts.bytes) == (whole.tokens, whole.bytes)
    assert parts.nats == pytest.approx(whole.nats)
    assert evaluate(model, tokenizer, []) == ZERO


def test_surprisal_is_the_cost_of_each_token_of_a_text(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    model = KneserNey.fit(
        tokenizer.encode_posts(small_corpus), order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    tokens = surprisal(model, tokenizer, small_corpus[0])
    assert "".join(token.text for token in tokens) == small_corpus[0]
    assert tokens[-1].text == ""
    assert sum(token.nats for token in tokens) == pytest.approx(evaluate(model, tokenizer, small_corpus[:1]).nats)


def test_what_posts_cost_comes_of_one_reading_and_is_the_cost_of_their_tokens(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    counted = KneserNey.fit(
        tokenizer.encode_posts(small_corpus), order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    calls = []

    class Counting:
        def score(self, tokens: TokenArray) -> FloatArray:
            calls.append(len(tokens))
            return counted.score(tokens)

    posts = ["the mynah sings", "🐦", small_corpus[0]]
    scores = score_posts(Counting(), tokenizer, posts)
    assert calls == [sum(len(tokenizer.encode(post)) + 1 for post in posts)]
    assert scores.tokens.tolist() == [len(tokenizer.encode(post)) + 1 for post in posts]
    assert scores.bytes.tolist() == [len(post.encode()) + 1 for post in posts]
    # A Kneser-Ney model begins each post anew, so that a post costs what it costs alone.
    np.testing.assert_allclose(scores.nats, [evaluate(counted, tokenizer, [post]).nats for post in posts], rtol=1e-6)
    for post, nats, tokens in zip(posts, scores.nats, scores.surprisals(tokenizer), strict=True):
        assert [token.text for token in tokens] == [*(tokenizer.decode([i]) for i in tokenizer.encode(post)), ""]
        assert sum(token.nats for token in tokens) == pytest.approx(nats)


def test_a_cost_that_is_no_number_is_never_averaged_away(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("words", small_corpus, vocabulary_size=100)

    class Broken:
        def score(self, tokens: TokenArray) -> FloatArray:
            scores = np.zeros(len(tokens), dtype=np.float32)
            scores[1] = np.nan
            return scores

    with pytest.raises(EvaluationError, match="1 of 11 tokens"):
        evaluate(Broken(), tokenizer, ["the mynah sings in the rain", "at night ."])


def test_a_text_that_a_model_ruled_out_costs_infinitely_much(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    model = MaximumLikelihood.fit(
        tokenizer.encode_posts(small_corpus), order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    known, strange = evaluate(model, tokenizer, small_corpus[:9]), evaluate(model, tokenizer, ["ξένος"])
    assert math.isfinite(known.perplexity)
    assert (strange.nats, strange.perplexity, strange.bits_per_byte) == (math.inf, math.inf, math.inf)
    assert (known + strange).perplexity == math.inf
    assert max(token.nats for token in surprisal(model, tokenizer, "ξένος")) == math.inf


def test_a_perplexity_too_large_for_a_float_is_infinite_and_its_bits_are_not() -> None:
    score = Score(nats=1000.0, tokens=1, bytes=4)
    assert score.perplexity == math.inf
    assert score.bits_per_byte == pytest.approx(360.67, abs=0.01)


def test_a_post_that_a_model_ruled_out_leaves_the_others_their_cost(small_corpus: list[str]) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    model = MaximumLikelihood.fit(
        tokenizer.encode_posts(small_corpus), order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    known = evaluate(model, tokenizer, small_corpus[:1]).nats
    assert score_posts(model, tokenizer, [small_corpus[0], "ξένος", small_corpus[0]]).nats.tolist() == [
        pytest.approx(known),
        math.inf,
        pytest.approx(known),
    ]
