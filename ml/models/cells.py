"""Recurrent cells for training: (x [T, B, E], state) → (h [T, B, H], state), the state passed in and out."""

from typing import TypeAlias

import torch
from torch import Tensor, nn

# h, and what else a cell remembers: each [B, H].
CellState: TypeAlias = tuple[Tensor, ...]


class Elman(nn.Module):
    """h_t = σ(W_e x_t + W_h h_{t-1} + b): the lecture's recurrent layer.

    Source: Elman 1990; with the sigmoid as Mikolov et al. 2010, eq. 2.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = hidden_size**-0.5
        self.input = nn.Parameter(torch.empty(hidden_size, input_size).uniform_(-bound, bound))
        self.recurrent = nn.Parameter(torch.empty(hidden_size, hidden_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> CellState:
        return (torch.zeros(batch_size, self.hidden_size),)

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        # The inputs of all steps in one product; only what depends on the step before stays in the loop.
        driven = x @ self.input.T + self.bias  # [T, B, H]
        (h,) = state
        outputs = []
        for step in driven:
            h = torch.sigmoid(step + h @ self.recurrent.T)
            outputs.append(h)
        return torch.stack(outputs), (h,)

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input [H, E], recurrent [H, H], bias [H]: what the serving step reads."""
        return self.input, self.recurrent, self.bias


class Lstm(nn.Module):
    """i, f, g, o = σ, σ, tanh, σ (W x_t + U h_{t-1} + b); c_t = f ⊙ c_{t-1} + i ⊙ g; h_t = o ⊙ tanh(c_t).

    Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000. torch's fused kernel computes it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.fused = nn.LSTM(input_size, hidden_size)
        with torch.no_grad():
            # A forget gate that starts open lets gradients reach back from the first step on (Jozefowicz et al. 2015).
            self.fused.get_parameter("bias_hh_l0").zero_()
            bias = self.fused.get_parameter("bias_ih_l0").zero_()
            bias[hidden_size : 2 * hidden_size].fill_(1.0)

    def initial_state(self, batch_size: int) -> CellState:
        zeros = torch.zeros(batch_size, self.hidden_size)
        return zeros, zeros

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        h, c = state
        output, (h, c) = self.fused(x, (h.unsqueeze(0), c.unsqueeze(0)))
        return output, (h.squeeze(0), c.squeeze(0))

    def weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Input [4H, E], recurrent [4H, H], bias [4H], the gates in the order i, f, g, o."""
        weight = self.fused.get_parameter
        return weight("weight_ih_l0"), weight("weight_hh_l0"), weight("bias_ih_l0") + weight("bias_hh_l0")


CELLS: dict[str, type[Elman | Lstm]] = {"elman": Elman, "lstm": Lstm}
