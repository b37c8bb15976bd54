"""RecurrentNetwork: embedding → cells → tied softmax, as it is trained."""

from collections.abc import Sequence
from typing import Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ml.models.cells import CELLS, CellState
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.preset import DropoutRecipe, RecurrentRecipe
from ml.regularization.embedding_dropout import embed_with_dropout
from ml.regularization.locked_dropout import locked_dropout

# One state a layer.
NetworkState: TypeAlias = tuple[CellState, ...]


class RecurrentNetwork(nn.Module):
    """P(next token | history) for B columns at once. The state is an argument and a result, never kept.

    dtype: in which cells and softmax compute. Weights stay float32.
    """

    def __init__(
        self,
        recipe: RecurrentRecipe,
        *,
        vocabulary_size: int,
        dropout: DropoutRecipe | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.vocabulary_size = vocabulary_size
        self.dropout = dropout or DropoutRecipe()
        self.dtype = dtype
        E, H = recipe.embedding_size, recipe.hidden_size
        self.embedding = nn.Embedding(vocabulary_size, E)
        nn.init.normal_(self.embedding.weight, std=E**-0.5)
        cell = CELLS[recipe.cell]
        self.cells = [
            cell(E if layer == 0 else H, H, weight_drop=self.dropout.weight) for layer in range(recipe.layers)
        ]
        for layer, module in enumerate(self.cells):
            self.add_module(f"cell{layer}", module)
        # Tied: the output weights are the embeddings (Press & Wolf 2016), so the state is brought to their size.
        self.projection = nn.Linear(H, E, bias=False) if recipe.tied and E != H else None
        self.output = None if recipe.tied else nn.Parameter(torch.empty(vocabulary_size, H).normal_(std=H**-0.5))
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))
        # Of a model that is served; it is fitted after training, which knows nothing of it.
        self.temperature = 1.0

    @classmethod
    def of(
        cls,
        model: RecurrentLanguageModel,
        *,
        dropout: DropoutRecipe | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Self:
        """The network whose arrays the served model holds, ready to be trained further."""
        recipe = RecurrentRecipe(
            cell=model.cell,
            embedding_size=model.embedding_size,
            hidden_size=model.hidden_size,
            layers=model.layers,
            tied=model.tied,
            context=model.context,
        )
        network = cls(recipe, vocabulary_size=model.vocabulary_size, dropout=dropout, dtype=dtype)
        network.load_arrays(model.arrays)
        network.temperature = model.temperature
        return network

    def initial_state(self, batch_size: int) -> NetworkState:
        """Zeros for B columns."""
        return tuple(cell.initial_state(batch_size, dtype=self.dtype) for cell in self.cells)

    def forward(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """tokens: [T, B] int64 → outputs of the last layer [T, B, H], and the state after the last step."""
        layers, after = self.layer_outputs(tokens, state)
        return self.dropped_output(layers[-1]), after

    def layer_outputs(self, tokens: Tensor, state: NetworkState) -> tuple[list[Tensor], NetworkState]:
        """What each layer puts out, [T, B, H], before dropout, and the state after the last step."""
        weight = self.embedding.weight
        x = embed_with_dropout(tokens, weight, self.dropout.embedding, training=self.training).to(self.dtype)
        x = locked_dropout(x, self.dropout.input, training=self.training)
        outputs, after = [], []
        for layer, (cell, cell_state) in enumerate(zip(self.cells, state, strict=True)):
            if layer > 0:
                x = locked_dropout(x, self.dropout.layer, training=self.training)
            x, new = cell(x, cell_state)
            outputs.append(x)
            after.append(new)
        return outputs, tuple(after)

    def dropped_output(self, outputs: Tensor) -> Tensor:
        """The last layer's outputs as the softmax sees them."""
        return locked_dropout(outputs, self.dropout.output, training=self.training)

    def projected(self, outputs: Tensor) -> Tensor:
        """Outputs [..., H] in the space of the output weights [..., D]."""
        return outputs if self.projection is None else outputs @ self.projection.weight.to(outputs.dtype).T

    def output_weight(self) -> Tensor:
        """[V, D]: the embeddings when they are tied."""
        return self.embedding.weight if self.output is None else self.output

    def logits(self, outputs: Tensor) -> Tensor:
        """Outputs [..., H] → logits of the next token [..., V]."""
        weight = self.output_weight().to(outputs.dtype)
        return (self.projected(outputs) @ weight.T + self.output_bias.to(outputs.dtype)) / self.temperature

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights by the names that the serving model reads (ml/models/recurrent_stepper.py)."""
        return {name: weight.detach().numpy().copy() for name, weight in self._named_weights().items()}

    def load_arrays(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        """Take over the weights of another network of the same shapes. Raises ValueError where they differ."""
        named = self._named_weights()
        if {name: tuple(weight.shape) for name, weight in named.items()} != {
            name: array.shape for name, array in arrays.items()
        }:
            raise ValueError("the weights are of another shape than the network")
        with torch.no_grad():
            for name, weight in named.items():
                weight.copy_(torch.tensor(arrays[name]))  # they may be mapped, for reading only

    def _named_weights(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {"embedding": self.embedding.weight, "output_bias": self.output_bias}
        for layer, cell in enumerate(self.cells):
            found |= {f"cells.{layer}.{name}": weight for name, weight in cell.named_parameters()}
        if self.projection is not None:
            found["projection"] = self.projection.weight
        if self.output is not None:
            found["output"] = self.output
        return found


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
