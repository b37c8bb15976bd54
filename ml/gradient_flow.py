"""How a gradient fades or explodes through time: the lecture's view into a trained recurrent network.

For the cost L_t of the token at place t, the norm of ∂L_t/∂h_{t-k}: h_t is the hidden state from which the token is
predicted (k = 0), h_{t-k} the one k steps before it. The derivative is total: a layer's h reaches L_t through its own
next steps and through the layers above. Cells that remember something beside h (the LSTM's c) have a second curve: the
derivative by what they hand on to the next step, so that it begins at k = 1.

In context "post" a post begins at the initial state, and no gradient crosses that; so k is counted only as far back as
the `<eos>` with which the token's own post began, and each k says over how many places it was taken. In context
"stream" every k is counted, across posts.

Source: Bengio et al. 1994; Pascanu et al. 2013, §2.1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from ml.errors import ConfigError, EvaluationError
from ml.language_model import TokenArray
from ml.models.recurrent import NetworkState, RecurrentNetwork

STEPS: Final = 50
MOST_STEPS: Final = 1000
PLACES: Final = 256
"""Places t of a text that are looked at: they fit one batch, and the median is sure to some percent."""

QUANTILES: Final = (0.05, 0.25, 0.75, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class Norms:
    """The norms k steps back, over so many places. quantiles: at QUANTILES."""

    k: int
    places: int
    mean: float
    median: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerFlow:
    """One layer, the lowest being 1: for h, and for what the cell remembers beside it (empty where it does not)."""

    layer: int
    hidden: tuple[Norms, ...]
    memory: tuple[Norms, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientFlow:
    """A network's gradient through time. context: as in its recipe."""

    cell: str
    context: str
    layers: tuple[LayerFlow, ...]


def gradient_flow(
    network: RecurrentNetwork, tokens: TokenArray, *, eos: int, steps: int = STEPS, places: int = PLACES, seed: int = 1
) -> GradientFlow:
    """Measure at random places of a stream of posts. tokens: [T] int64; steps: the largest k.

    Raises ConfigError for numbers that make no sense, EvaluationError for a text that is too short.
    """
    if not 1 <= steps <= MOST_STEPS or places < 1 or seed < 0:
        raise ConfigError(
            f"steps is {steps}, places {places} and seed {seed}; "
            f"they have to be 1 to {MOST_STEPS}, 1 or more, and 0 or more."
        )
    context = network.recipe.context
    first = 0 if context == "post" else steps
    if len(tokens) <= first:
        raise EvaluationError(f"The text has {len(tokens)} tokens; {first + 1} are needed to look {steps} steps back.")
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(np.arange(first, len(tokens)), size=min(places, len(tokens) - first), replace=False))
    hidden, memory = gradient_norms(network, tokens, chosen, eos=eos, steps=steps)
    return GradientFlow(
        cell=network.recipe.cell,
        context=context,
        layers=tuple(
            LayerFlow(layer=number, hidden=_norms(hidden[number - 1]), memory=_norms(memory[number - 1], first=1))
            for number in range(1, len(hidden) + 1)
        ),
    )


def fading(norms: Sequence[Norms]) -> float:
    """By what factor the median changes with each step back, from k = 1 on: below 1 it fades, above it explodes.

    The slope of a straight line through the logarithms, NaN where fewer than two medians are above 0.
    """
    points = [(at.k, math.log(at.median)) for at in norms if at.k >= 1 and at.median > 0]
    if len(points) < 2:
        return math.nan
    k, logarithm = np.array(points).T
    return float(np.exp(np.polyfit(k, logarithm, 1)[0]))


def gradient_norms(
    network: RecurrentNetwork, tokens: TokenArray, places: TokenArray, *, eos: int, steps: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """‖∂L_t/∂h_{t-k}‖ at each place t for k = 0 … steps: h's, and those of all else that the cells remember.

    places: [N] int64, ascending. Returns two arrays [layers, steps + 1, N] float64, NaN where k reaches beyond the
    beginning of the post, and in the second where a cell remembers nothing else.
    """
    network = network.eval()
    reach = _reach(tokens, places, eos=eos) if network.recipe.context == "post" else np.full(len(places), len(tokens))
    read = np.concatenate(([eos], tokens[:-1]))
    state = _states_before(network, read, places - steps, begins=places - reach)
    windows = read[np.maximum(places + np.arange(-steps, 1)[:, np.newaxis], 0)]  # [K+1, N]
    begun = np.arange(steps, -1, -1)[:, np.newaxis] <= reach  # whether h_{t-k} belongs to the same post
    windows[~begun] = eos
    with _Nudges(network) as nudges:
        for k_from_the_end, inputs in enumerate(windows):
            if k_from_the_end and not begun[k_from_the_end - 1].all():
                # Not begun before this step: it begins now, from the initial state.
                state = _where(begun[k_from_the_end - 1], state, network.initial_state(len(places)))
            outputs, state = network(torch.from_numpy(inputs[np.newaxis]), state)
        costs = cross_entropy(network.logits(outputs[0]), torch.from_numpy(tokens[places]), reduction="sum")
        hidden, memory = nudges.norms(costs)
    beyond = ~begun[::-1]
    hidden[:, beyond] = np.nan
    memory[:, beyond] = np.nan
    return hidden, memory


class _Nudges:
    """Adds zeros to what each cell gives at each step, so that the derivative by them is the derivative by it.

    A cell's h is given twice, as output and as state, and the zeros are the same for both: only so the derivative goes
    both ways. Where a cell's output is not the first part of its state (it remembers another thing than it says), the
    state is all memory.
    """

    def __init__(self, network: RecurrentNetwork) -> None:
        self._cells = list(network.cells)
        self._hidden: list[list[Tensor]] = [[] for _ in self._cells]
        self._memory: list[list[list[Tensor]]] = [[] for _ in self._cells]
        self._hooks: list[Any] = []

    def __enter__(self) -> "_Nudges":
        for layer, cell in enumerate(self._cells):
            self._hooks.append(
                cell.register_forward_hook(lambda _cell, _x, given, layer=layer: self._nudge(layer, given))
            )
        return self

    def __exit__(self, *_error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _nudge(self, layer: int, given: tuple[Tensor, tuple[Tensor, ...]]) -> tuple[Tensor, tuple[Tensor, ...]]:
        output, state = given
        h = torch.zeros_like(output[-1], requires_grad=True)
        same = torch.equal(output[-1], state[0])
        zeros = [torch.zeros_like(part, requires_grad=True) for part in (state[1:] if same else state)]
        self._hidden[layer].append(h)
        self._memory[layer].append(zeros)
        nudged = [part + zero for part, zero in zip(state[1:] if same else state, zeros, strict=True)]
        return output + h, (state[0] + h, *nudged) if same else tuple(nudged)

    def norms(self, cost: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[layers, K+1, N] of h and of the memory, k ascending."""
        every = [step for layer in self._hidden for step in layer]
        every += [part for layer in self._memory for step in layer for part in step]
        found = dict(zip(every, torch.autograd.grad(cost, every, materialize_grads=True), strict=True))
        hidden = [[_norm([found[step]]) for step in reversed(layer)] for layer in self._hidden]
        memory = [[_norm([found[part] for part in step]) for step in reversed(layer)] for layer in self._memory]
        return np.array(hidden), np.array([_padded(layer, like=hidden[0]) for layer in memory])


def _norm(gradients: Sequence[Tensor]) -> NDArray[np.float64]:
    """Of all parts together: [N], or nothing where there is none."""
    if not gradients:
        return np.empty(0)
    norms: NDArray[np.float64] = torch.cat(list(gradients), dim=1).double().norm(dim=1).numpy()
    return norms


def _padded(layer: list[NDArray[np.float64]], *, like: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array(
        [step if len(step) else np.full(len(other), np.nan) for step, other in zip(layer, like, strict=True)]
    )


def _reach(tokens: TokenArray, places: TokenArray, *, eos: int) -> TokenArray:
    """How many tokens of its own post stand before each place: [N] int64."""
    begins = np.concatenate(([0], np.flatnonzero(tokens == eos) + 1))
    own: TokenArray = places - begins[np.searchsorted(begins, places, side="right") - 1]
    return own


@torch.no_grad()
def _states_before(
    network: RecurrentNetwork, read: TokenArray, starts: TokenArray, *, begins: TokenArray
) -> NetworkState:
    """The state of each place before read[start], its reading having begun at the initial state before read[begin].

    starts, begins: [N] int64, ascending; where a start is not behind its begin, the initial state.
    """
    states: list[NetworkState] = []
    state, at, since = network.initial_state(1), 0, -1
    for start, begin in zip(starts.tolist(), np.maximum(begins, 0).tolist(), strict=True):
        if begin != since:
            state, at, since = network.initial_state(1), begin, begin
        if start > at:
            _, state = network(torch.from_numpy(read[at:start, np.newaxis]), state)
            at = start
        states.append(state if start > begin else network.initial_state(1))
    return _joined(states)


def _joined(states: Sequence[NetworkState]) -> NetworkState:
    return tuple(tuple(torch.cat(parts) for parts in zip(*layers, strict=True)) for layers in zip(*states, strict=True))


def _where(rows: NDArray[np.bool_], state: NetworkState, otherwise: NetworkState) -> NetworkState:
    chosen = torch.from_numpy(rows)[:, np.newaxis]
    return tuple(
        tuple(torch.where(chosen, part, other) for part, other in zip(layer, others, strict=True))
        for layer, others in zip(state, otherwise, strict=True)
    )


def _norms(values: NDArray[np.float64], *, first: int = 0) -> tuple[Norms, ...]:
    """values: [K+1, N], NaN where there is none; a k below `first` or without any value is left out."""
    found = []
    for k, row in enumerate(values[first:], start=first):
        counted = row[~np.isnan(row)]
        if len(counted):
            found.append(
                Norms(
                    k=k,
                    places=len(counted),
                    mean=float(counted.mean()),
                    median=float(np.median(counted)),
                    quantiles=tuple(float(value) for value in np.quantile(counted, QUANTILES)),
                )
            )
    return tuple(found)
