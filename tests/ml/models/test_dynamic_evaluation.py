"""Dynamic evaluation: it learns from what it has scored, never before, and leaves the served model alone."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from ml.errors import EvaluationError
from ml.language_model import StoredModel, TokenArray
from ml.models.continuous_cache import ContinuousCache
from ml.models.dynamic_evaluation import (
    LONGEST,
    SEGMENT,
    STATIC,
    Adaptation,
    DynamicEvaluation,
    fit,
    mean_squares,
    read,
    segments,
)
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import Mixture
from ml.models.recurrent import RecurrentNetwork
from ml.models.recurrent_part import recurrent_of
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.unigram_cache import UnigramCache
from ml.preset import DropoutRecipe, RecurrentRecipe

V, EOS = 13, 12
RULES = [
    pytest.param(Adaptation(learning_rate=0.01, decay=0.001), id="normalised"),
    pytest.param(Adaptation(learning_rate=2.0, decay=0.001, normalised=False), id="plain"),
]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def network_of(cell: str = "lstm", *, context: str = "post") -> RecurrentNetwork:
    torch.manual_seed(3)
    recipe = RecurrentRecipe(cell=cell, embedding_size=5, hidden_size=7, layers=1, tied=True, context=context)
    return RecurrentNetwork(recipe, vocabulary_size=V, dropout=DropoutRecipe(output=0.5))


def posts(number: int, *, seed: int) -> TokenArray:
    random = np.random.default_rng(seed)
    return np.concatenate([[*random.integers(EOS, size=random.integers(1, 12)), EOS] for _ in range(number)])


def dynamic(network: RecurrentNetwork, adaptation: Adaptation) -> DynamicEvaluation:
    squares = mean_squares(network.eval(), posts(20, seed=9), eos=EOS)
    return DynamicEvaluation(network, eos=EOS, adaptation=adaptation, mean_squares=squares)


def static_scores(network: RecurrentNetwork, tokens: TokenArray) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """By the same network, a token after the other, its weights at rest."""
    network = network.eval()
    scored = []
    state, before = network.initial_state(1), EOS
    with torch.no_grad():
        for token in tokens.tolist():
            if before == EOS and network.recipe.context == "post":
                state = network.initial_state(1)
            outputs, state = network(torch.tensor([[before]]), state)
            scored.append(network.logits(outputs).log_softmax(-1)[0, 0, token].item())
            before = token
    return np.array(scored, dtype=np.float32)


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize("normalised", [True, False])
def test_a_rate_of_zero_is_the_static_score(context: str, normalised: bool) -> None:
    network = network_of(context=context)
    tokens = posts(60, seed=1)
    still = dynamic(network, Adaptation(learning_rate=0.0, decay=0.1, normalised=normalised))
    # To the last bit where the same network reads the same segments at rest; to rounding a token at a time.
    at_rest = np.empty(len(tokens), dtype=np.float32)
    for places, log_probs, _ in read(network.eval(), tokens, eos=EOS):
        at_rest[places[places >= 0]] = log_probs.numpy()[places >= 0]
    np.testing.assert_array_equal(still.score(tokens), at_rest)
    np.testing.assert_allclose(at_rest, static_scores(network, tokens), atol=2e-5)


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize("adaptation", RULES)
def test_what_comes_later_changes_no_score(context: str, adaptation: Adaptation) -> None:
    scorer = dynamic(network_of(context=context), adaptation)
    tokens = posts(60, seed=1)
    whole = scorer.score(tokens)
    inside = np.flatnonzero(tokens != EOS)
    for place in inside[np.linspace(5, len(inside) - 2, 7).astype(int)]:
        changed = tokens.copy()
        later = inside[inside >= place]
        changed[later] = (changed[later] + 5) % EOS
        scores = scorer.score(changed)
        np.testing.assert_array_equal(scores[:place], whole[:place])
        assert (scores[place:] != whole[place:]).any()


@pytest.mark.parametrize("context", ["post", "stream"])
@pytest.mark.parametrize("adaptation", RULES)
def test_a_pattern_that_comes_again_is_learnt_while_it_is_read(context: str, adaptation: Adaptation) -> None:
    network = network_of(context=context)
    tokens = np.array([*range(10), EOS] * 200)
    scores = dynamic(network, adaptation).score(tokens)
    static = static_scores(network, tokens)
    assert scores.mean() > static.mean() + 0.2
    assert scores[-100:].mean() > scores[:100].mean() + 0.5
    np.testing.assert_allclose(scores[:SEGMENT], static[:SEGMENT], atol=2e-5)  # nothing has been learnt yet


@pytest.mark.parametrize("adaptation", RULES)
def test_a_step_is_the_equation_of_the_paper(adaptation: Adaptation) -> None:
    network = network_of().eval()
    squares = [torch.rand_like(weight) for weight in network.parameters()]
    tokens = posts(200, seed=4)[: 3 * SEGMENT]
    scorer = DynamicEvaluation(network, eos=EOS, adaptation=adaptation, mean_squares=squares)
    trained = [weight.detach().numpy().copy() for weight in network.parameters()]
    mean = np.concatenate([square.sqrt().numpy().ravel() for square in squares]).mean()
    by_hand = np.empty(len(tokens), dtype=np.float32)
    for places, log_probs, loss in read(network, tokens, eos=EOS):
        by_hand[places[places >= 0]] = log_probs.numpy()[places >= 0]
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        for weight, gradient, square, start in zip(network.parameters(), gradients, squares, trained, strict=True):
            now, slope, root = weight.detach().numpy().copy(), gradient.numpy(), np.sqrt(square.numpy())
            if adaptation.normalised:
                now += -adaptation.learning_rate * slope / (root + 1e-3)
                now += np.minimum(adaptation.decay * root / mean, 1) * (start - weight.detach().numpy())
            else:
                now += -adaptation.learning_rate * slope + adaptation.decay * (start - weight.detach().numpy())
            with torch.no_grad():
                weight.copy_(torch.from_numpy(now))
    np.testing.assert_allclose(scorer.score(tokens), by_hand, rtol=1e-5)


def test_mean_squares_are_those_of_the_segments_gradients() -> None:
    network = network_of().eval()
    tokens = posts(40, seed=5)
    found = mean_squares(network, tokens, eos=EOS)
    squares = [
        [gradient.square() for gradient in torch.autograd.grad(loss, list(network.parameters()))]
        for _, _, loss in read(network, tokens, eos=EOS)
    ]
    for number, square in enumerate(found):
        torch.testing.assert_close(square, torch.stack([row[number] for row in squares]).mean(0))


@pytest.mark.parametrize("adaptation", RULES)
def test_it_starts_from_the_trained_weights_each_time_and_leaves_them_alone(adaptation: Adaptation) -> None:
    network = network_of()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    scorer = dynamic(network, adaptation)
    first = scorer.score(posts(30, seed=6))
    np.testing.assert_array_equal(scorer.score(posts(30, seed=6)), first)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("context", ["post", "stream"])
def test_each_token_stands_in_one_segment_and_no_post_is_cut_that_fits(context: str) -> None:
    random = np.random.default_rng(7)
    lengths = [1, 3, 70, LONGEST, LONGEST + 1, 3 * LONGEST, 2, *random.integers(1, 30, size=40).tolist()]
    tokens = np.concatenate([[*random.integers(EOS, size=length - 1), EOS] for length in lengths])
    parts = list(segments(tokens, eos=EOS, context=context))
    found = np.concatenate([np.sort(places[places >= 0]) for places, _ in parts])
    np.testing.assert_array_equal(np.sort(found), np.arange(len(tokens)))
    assert all((later.max() > earlier.max()) for (earlier, _), (later, _) in pairwise(parts))
    starts = {0, *(np.flatnonzero(tokens == EOS) + 1).tolist()}
    for places, begins in parts:
        if context == "stream":
            assert begins == (places[0, 0] == 0)
        else:
            assert begins == (set(places[0].tolist()) <= starts)


def test_a_stream_that_breaks_off_within_a_post_is_scored_to_its_end() -> None:
    network = network_of()
    tokens = np.append(posts(5, seed=8), [1, 2, 3])
    np.testing.assert_allclose(dynamic(network, STATIC).score(tokens), static_scores(network, tokens), atol=2e-5)
    assert dynamic(network, STATIC).score(tokens[:0]).shape == (0,)


def test_weights_that_run_away_are_said() -> None:
    scorer = dynamic(network_of(), Adaptation(learning_rate=1e30, decay=0.0, normalised=False))
    with pytest.raises(EvaluationError, match="smaller"):
        scorer.score(posts(60, seed=1))


@pytest.mark.parametrize("wrap", ["mixture", "continuous-cache", "unigram-cache"])
def test_whatever_a_network_is_in_the_network_is_what_learns(wrap: str) -> None:
    network = network_of()
    inside = RecurrentLanguageModel(network.arrays(), cell="lstm", eos=EOS, context="post")
    model: StoredModel
    match wrap:
        case "mixture":
            counted = KneserNey.fit(posts(20, seed=1), order=2, vocabulary_size=V, eos=EOS)
            model = Mixture({"recurrent": inside, "kneser-ney": counted}, np.array([0.5, 0.5]))
        case "continuous-cache":
            model = ContinuousCache(inside, weight=0.2, sharpness=0.1, length=50)
        case _:
            model = UnigramCache(inside, weight=0.2, length=50, eos=EOS)
    tokens = np.array([*range(10), EOS] * 60)
    before = {name: array.copy() for name, array in inside.arrays.items()}
    learning = fit(model, tokens, eos=EOS)
    assert learning.adaptation.learning_rate > 0
    assert learning.score(tokens).mean() > model.score(tokens).mean()
    for name, array in inside.arrays.items():
        np.testing.assert_array_equal(array, before[name])
    assert recurrent_of(model) is inside
