"""Dynamic evaluation: a recurrent network that goes on learning from the posts that it scores.

The stream is read in segments. Each segment is scored with the weights as they are, then its gradient moves them:

    θ ← θ - η ∇L / (√MS + ε) + min(λ √MS / mean(√MS), 1) (θ_g - θ)      normalised
    θ ← θ - η ∇L + λ (θ_g - θ)                                          plain

θ_g are the trained weights, MS the mean squared gradient of each weight on held-out posts. So no token is scored by
weights that have seen it. The served model is never touched: each call works on a copy and starts from θ_g.

Source: Krause et al. 2018, §4, eq. 5 and 6, who take MS from the training text; an artifact holds none, so the posts
on which η and λ are chosen serve. A segment is some whole posts, not a fixed number of tokens.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ml.errors import EvaluationError
from ml.language_model import FloatArray, LanguageModel, TokenArray
from ml.models.mixture import Mixture, Weights, best_weights
from ml.models.recurrent import NetworkState, RecurrentNetwork, detached
from ml.models.recurrent_part import recurrent_of
from ml.models.recurrent_stepper import RecurrentLanguageModel

SEGMENT: Final = 64
"""Tokens after which the weights move: posts are joined until they have as many."""
LONGEST: Final = 256
"""Tokens of one post that are read at once; the rest follows, with its state, after an update."""

_PADDING: Final = -1
_EPSILON: Final = 1e-3  # ε: a weight whose gradient was always 0 must not leap


@dataclass(frozen=True, kw_only=True, slots=True)
class Adaptation:
    """How the weights follow. learning_rate: η; decay: λ; normalised: which of the two rules."""

    learning_rate: float
    decay: float
    normalised: bool = True


# Tried in turn on validation posts: first the rates of both rules, then the decays at the best of them.
STATIC: Final = Adaptation(learning_rate=0.0, decay=0.0)
_RATES: Final = {True: (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), False: (0.03, 0.1, 0.3, 1.0)}
_DECAYS: Final = (0.0, 0.001, 0.01, 0.03)
_FIRST_DECAY: Final = 0.003
_TOKENS_TO_CHOOSE_BY: Final = 10_000


class DynamicEvaluation:
    """score(tokens) like a LanguageModel; there is no step, for what it says depends on all that it was told."""

    def __init__(
        self, network: RecurrentNetwork, *, eos: int, adaptation: Adaptation, mean_squares: Sequence[Tensor]
    ) -> None:
        """mean_squares: MS of each parameter, in the order of `network.parameters()`. The network is copied."""
        self._network = copy.deepcopy(network).eval()
        self._eos = eos
        self.adaptation = adaptation
        self._roots = [square.sqrt() for square in mean_squares]
        mean = sum(root.sum().item() for root in self._roots) / sum(root.numel() for root in self._roots)
        self._pulls = [(adaptation.decay * root / max(mean, 1e-30)).clamp(max=1.0) for root in self._roots]

    @classmethod
    def fit(cls, model: RecurrentLanguageModel, tokens: TokenArray, *, eos: int) -> "DynamicEvaluation":
        """Choose rule, rate and decay by the cost of `tokens` ([T] int64, validation posts).

        At most the first 10,000 tokens are read, a dozen times. Where no rate helps, the weights stay: rate 0.
        """
        tokens = tokens[:_TOKENS_TO_CHOOSE_BY]
        network = RecurrentNetwork.of(model).eval()
        squares = mean_squares(network, tokens, eos=eos)
        tried: dict[Adaptation, float] = {}

        def best(candidates: Iterable[Adaptation]) -> Adaptation:
            for candidate in candidates:
                dynamic = cls(network, eos=eos, adaptation=candidate, mean_squares=squares)
                try:
                    tried[candidate] = -float(dynamic.score(tokens).sum(dtype=np.float64))
                except EvaluationError:
                    tried[candidate] = np.inf
            return min(tried, key=tried.__getitem__)

        rates = [
            Adaptation(learning_rate=rate, decay=_FIRST_DECAY, normalised=normalised)
            for normalised, rates in _RATES.items()
            for rate in rates
        ]
        chosen = best([STATIC, *rates])
        if chosen != STATIC:
            chosen = best(replace(chosen, decay=decay) for decay in _DECAYS)
        return cls(network, eos=eos, adaptation=chosen, mean_squares=squares)

    def score(self, tokens: TokenArray) -> FloatArray:
        """Log-probability of each token of one stream of posts, each segment before it is learnt from: [T] → [T].

        Raises EvaluationError when the weights run away.
        """
        network = copy.deepcopy(self._network)
        weights = list(network.parameters())
        trained = [weight.detach().clone() for weight in weights]
        scored = np.empty(len(tokens), dtype=np.float32)
        for places, log_probs, loss in read(network, tokens, eos=self._eos):
            read_places = places != _PADDING
            scored[places[read_places]] = log_probs.numpy()[read_places]
            if not torch.isfinite(loss):
                raise EvaluationError(
                    f"The weights ran away at a learning rate of {self.adaptation.learning_rate:g}. Take a smaller one."
                )
            self._learn(weights, torch.autograd.grad(loss, weights, materialize_grads=True), trained)
        return scored

    @torch.no_grad()
    def _learn(self, weights: Sequence[Tensor], gradients: Sequence[Tensor], trained: Sequence[Tensor]) -> None:
        rate, decay = self.adaptation.learning_rate, self.adaptation.decay
        for weight, gradient, start, root, pull in zip(
            weights, gradients, trained, self._roots, self._pulls, strict=True
        ):
            if self.adaptation.normalised:
                weight.add_(-rate * gradient / (root + _EPSILON) + pull * (start - weight))
            else:
                weight.add_(-rate * gradient + decay * (start - weight))


class DynamicMixture:
    """A recurrent network that goes on learning, mixed with models that do not; the weights are fitted for this."""

    def __init__(self, dynamic: DynamicEvaluation, others: Sequence[LanguageModel], *, weights: Weights) -> None:
        """weights: [M], of the dynamic model first."""
        self._dynamic = dynamic
        self._others = tuple(others)
        self._weights = weights

    @classmethod
    def fit(cls, model: LanguageModel, tokens: TokenArray, *, eos: int) -> "DynamicMixture":
        """As DynamicEvaluation.fit for the network in the model, then the weights on the same validation posts.

        A mixture's other components stand beside the network, and so does a whole model that is no mixture: what a
        cache makes of the network at rest is not what it would make of one that learns.
        """
        recurrent = recurrent_of(model)
        dynamic = DynamicEvaluation.fit(recurrent, tokens, eos=eos)
        parts = model.components.values() if isinstance(model, Mixture) else [model]
        others = [part for part in parts if part is not recurrent]
        tokens = tokens[:_TOKENS_TO_CHOOSE_BY]
        scores = [dynamic.score(tokens), *(other.score(tokens) for other in others)]
        return cls(dynamic, others, weights=best_weights(np.stack(scores)))

    @property
    def adaptation(self) -> Adaptation:
        return self._dynamic.adaptation

    def score(self, tokens: TokenArray) -> FloatArray:
        """As DynamicEvaluation.score: [T] → [T]."""
        scores = [self._dynamic.score(tokens), *(model.score(tokens) for model in self._others)]
        log_probs = np.stack(scores).astype(np.float64)
        highest = log_probs.max(axis=0)
        mixed: FloatArray = (highest + np.log(self._weights @ np.exp(log_probs - highest))).astype(np.float32)
        return mixed


def fit(model: LanguageModel, tokens: TokenArray, *, eos: int) -> DynamicEvaluation | DynamicMixture:
    """Whatever of a model can go on learning, fitted on validation posts ([T] int64).

    Raises ConfigError for a model without a recurrent network.
    """
    if isinstance(model, RecurrentLanguageModel):
        return DynamicEvaluation.fit(model, tokens, eos=eos)
    return DynamicMixture.fit(model, tokens, eos=eos)


def mean_squares(network: RecurrentNetwork, tokens: TokenArray, *, eos: int) -> list[Tensor]:
    """MS: the mean over the segments of the squared gradient of each parameter, at the network's weights."""
    weights = list(network.parameters())
    sums = [torch.zeros_like(weight) for weight in weights]
    segments = 0
    for _, _, loss in read(network, tokens, eos=eos):
        for total, gradient in zip(sums, torch.autograd.grad(loss, weights, materialize_grads=True), strict=True):
            total.add_(gradient.square())
        segments += 1
    return [total / max(1, segments) for total in sums]


def read(network: RecurrentNetwork, tokens: TokenArray, *, eos: int) -> Iterator[tuple[TokenArray, Tensor, Tensor]]:
    """Segment by segment, with the weights that the network has when it comes to it.

    Yields where in the stream its tokens stand ([T, B] int64, -1 where there is none), their log-probabilities
    ([T, B], without a gradient) and their mean cost, from which a gradient reaches back to the segment's beginning.
    """
    state: NetworkState = network.initial_state(1)
    for places, begins in segments(tokens, eos=eos, context=network.recipe.context):
        B = places.shape[1]
        inputs = np.where(places > 0, tokens[places - 1], eos)
        targets = torch.from_numpy(np.where(places == _PADDING, _PADDING, tokens[places]))
        outputs, state = network(torch.from_numpy(inputs), network.initial_state(B) if begins else detached(state))
        logits = network.logits(outputs)
        costs = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_PADDING, reduction="none").view_as(
            targets
        )
        yield places, -costs.detach(), costs.sum() / (targets != _PADDING).sum()


def segments(tokens: TokenArray, *, eos: int, context: str) -> Iterator[tuple[TokenArray, bool]]:
    """Places in the stream, [T, B] int64 with -1 for none, and whether they begin at the initial state.

    context "post": the posts of a segment side by side, each from the initial state; one that is longer than LONGEST
    comes alone, in pieces. context "stream": SEGMENT tokens after SEGMENT tokens, the state carried. Where a segment
    ends depends on nothing after it.
    """
    if context == "stream":
        for begin in range(0, len(tokens), SEGMENT):
            yield _column(begin, min(begin + SEGMENT, len(tokens))), begin == 0
        return
    ends = (np.flatnonzero(tokens == eos) + 1).tolist()
    if not ends or ends[-1] != len(tokens):
        ends.append(len(tokens))
    waiting: list[TokenArray] = []
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        if end - begin > LONGEST:
            if waiting:
                yield _side_by_side(waiting), True
                waiting = []
            for piece in range(begin, end, LONGEST):
                yield _column(piece, min(piece + LONGEST, end)), piece == begin
            continue
        waiting.append(_column(begin, end))
        if sum(len(column) for column in waiting) >= SEGMENT:
            yield _side_by_side(waiting), True
            waiting = []
    if waiting and len(tokens):
        yield _side_by_side(waiting), True


def _column(begin: int, end: int) -> TokenArray:
    return np.arange(begin, end, dtype=np.int64)[:, np.newaxis]


def _side_by_side(columns: Sequence[TokenArray]) -> TokenArray:
    places = np.full((max(map(len, columns)), len(columns)), _PADDING, dtype=np.int64)
    for number, column in enumerate(columns):
        places[: len(column), number] = column[:, 0]
    return places
