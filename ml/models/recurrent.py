"""RecurrentNetwork: embedding → dropout → cells → dropout → softmax, as it is trained."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.models.cells import CELLS, CellState
from ml.preset import RecurrentRecipe

# One state a layer.
NetworkState: TypeAlias = tuple[CellState, ...]


class RecurrentNetwork(nn.Module):
    """P(next token | history) for B columns at once. The state is an argument and a result, never kept."""

    def __init__(self, recipe: RecurrentRecipe, *, vocabulary_size: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.vocabulary_size = vocabulary_size
        E, H = recipe.embedding_size, recipe.hidden_size
        self.embedding = nn.Embedding(vocabulary_size, E)
        nn.init.normal_(self.embedding.weight, std=E**-0.5)
        cell = CELLS[recipe.cell]
        self.cells = [cell(E if layer == 0 else H, H) for layer in range(recipe.layers)]
        for layer, module in enumerate(self.cells):
            self.add_module(f"cell{layer}", module)
        # Tied: the output weights are the embeddings (Press & Wolf 2016), so the state is brought to their size.
        self.projection = nn.Linear(H, E, bias=False) if recipe.tied and E != H else None
        self.output = None if recipe.tied else nn.Parameter(torch.empty(vocabulary_size, H).normal_(std=H**-0.5))
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))

    def initial_state(self, batch_size: int) -> NetworkState:
        """Zeros for B columns."""
        return tuple(cell.initial_state(batch_size) for cell in self.cells)

    def forward(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """tokens: [T, B] int64 → logits of the next token [T, B, V], and the state after the last."""
        x = self._dropped(self.embedding(tokens))
        after = []
        for cell, cell_state in zip(self.cells, state, strict=True):
            x, new = cell(x, cell_state)
            after.append(new)
            x = self._dropped(x)
        if self.projection is not None:
            x = self.projection(x)
        output = self.embedding.weight if self.output is None else self.output
        return x @ output.T + self.output_bias, tuple(after)

    def _dropped(self, x: Tensor) -> Tensor:
        """Dropout with one mask a column for all T steps. x: [T, B, E]. Source: Gal & Ghahramani 2016, §4."""
        if not self.training or self.recipe.dropout == 0:
            return x
        kept = 1 - self.recipe.dropout
        mask = torch.empty(1, x.shape[1], x.shape[2]).bernoulli_(kept) / kept
        return x * mask

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights by the names that the serving model reads (ml/models/recurrent_stepper.py)."""
        found: dict[str, Tensor] = {"embedding": self.embedding.weight, "output_bias": self.output_bias}
        for layer, cell in enumerate(self.cells):
            names = ("input", "recurrent", "bias")
            found |= {f"cells.{layer}.{name}": weight for name, weight in zip(names, cell.weights(), strict=True)}
        if self.projection is not None:
            found["projection"] = self.projection.weight
        if self.output is not None:
            found["output"] = self.output
        return {name: weight.detach().numpy().copy() for name, weight in found.items()}


def detached(state: NetworkState) -> NetworkState:
    """The same state without its history: where back-propagation through time is cut."""
    return tuple(tuple(part.detach() for part in cell_state) for cell_state in state)


def flattened(state: NetworkState) -> list[Tensor]:
    """Its tensors in a fixed order, for a checkpoint."""
    return [part for cell_state in state for part in cell_state]


def unflattened(tensors: Sequence[Tensor], like: NetworkState) -> NetworkState:
    """The state that `flattened` took apart."""
    remaining = iter(tensors)
    return tuple(tuple(next(remaining) for _ in cell_state) for cell_state in like)
