"""Recurrent cells for training: (x [T, B, E], state) → (h [T, B, H], state), the state passed in and out.

Their equations stand in ml/models/cell_steps.py, where the same cells are stepped in numpy. Weights are stored in
float32 and used in the type of x.
"""

from typing import ClassVar, Final, TypeAlias

import torch
from torch import Tensor, nn

from ml.models.cell_steps import CELL_STEPS
from ml.regularization.weight_drop import drop_weights

# h [B, H], and what else a cell remembers.
CellState: TypeAlias = tuple[Tensor, ...]


class Cell(nn.Module):
    """A cell of a kind: weights in the shapes that serving reads, from the start of a training on."""

    kind: ClassVar[str]

    def __init__(self, input_size: int, hidden_size: int, *, weight_drop: float = 0.0) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_drop = weight_drop
        bound = hidden_size**-0.5
        for name, shape in CELL_STEPS[self.kind].shapes(input_size, hidden_size).items():
            weight = torch.empty(shape).uniform_(-bound, bound) if len(shape) > 1 else torch.zeros(shape)
            self.register_parameter(name, nn.Parameter(weight))
        with torch.no_grad():
            self.prepare()

    def prepare(self) -> None:
        """Set what should not begin at random or at zero."""

    def initial_state(self, batch_size: int, *, dtype: torch.dtype = torch.float32) -> CellState:
        """Zeros for B rows."""
        sizes = CELL_STEPS[self.kind].state_sizes(self.hidden_size)
        return tuple(torch.zeros(batch_size, size, dtype=dtype) for size in sizes)

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        raise AssertionError("each kind has its own")

    def weight(self, name: str, like: Tensor) -> Tensor:
        """A weight in the type in which it is used."""
        return self.get_parameter(name).to(like.dtype)

    def recurrent_weight(self, like: Tensor) -> Tensor:
        """The recurrent matrix [G·H, H]; while training with some of its weights dropped for this whole window."""
        recurrent = self.get_parameter("recurrent")
        return drop_weights(recurrent, self.weight_drop, training=self.training).to(like.dtype)


class Elman(Cell):
    """The lecture's recurrent layer, with a sigmoid."""

    kind = "elman"

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        # The inputs of all steps in one product; only what depends on the step before stays in the loop.
        driven = x @ self.weight("input", x).T + self.weight("bias", x)  # [T, B, H]
        recurrent = self.recurrent_weight(x).T
        (h,) = state
        outputs = []
        for step in driven:
            h = self.activate(torch.addmm(step, h, recurrent))
            outputs.append(h)
        return torch.stack(outputs), (h,)

    def activate(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)


class TanhElman(Elman):
    """Elman's with a hyperbolic tangent."""

    kind = "elman-tanh"

    def activate(self, z: Tensor) -> Tensor:
        return torch.tanh(z)


class ReluElman(Elman):
    """Elman's with a rectifier, which begins by copying its state, so that gradients neither fade nor explode.

    Source: Le et al. 2015, §3: identity recurrent matrix, biases at zero, inputs from N(0, 0.001).
    """

    kind = "elman-relu"

    def prepare(self) -> None:
        nn.init.eye_(self.get_parameter("recurrent"))
        nn.init.normal_(self.get_parameter("input"), std=1e-3)

    def activate(self, z: Tensor) -> Tensor:
        return torch.relu(z)


class Gru(Cell):
    """Gated recurrent unit; torch's own loop computes it."""

    kind = "gru"

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        candidate_bias = self.weight("candidate_bias", x)
        recurrent_bias = torch.cat([candidate_bias.new_zeros(2 * self.hidden_size), candidate_bias])
        weights = [self.weight("input", x), self.recurrent_weight(x), self.weight("bias", x), recurrent_bias]
        output, h = torch.gru(x, state[0].unsqueeze(0), weights, True, 1, 0.0, self.training, False, False)
        return output, (h.squeeze(0),)


class Lstm(Cell):
    """Long short-term memory; oneDNN's kernel computes a whole window."""

    kind = "lstm"

    def prepare(self) -> None:
        # A forget gate that starts open lets gradients reach back from the first step on (Jozefowicz et al. 2015).
        self.get_parameter("bias")[self.hidden_size : 2 * self.hidden_size].fill_(1.0)

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        h, c = (part.unsqueeze(0) for part in state)
        bias = self.weight("bias", x)
        weights = [self.weight("input", x), self.recurrent_weight(x), bias, torch.zeros_like(bias)]
        output, h, c = torch.lstm(x, (h, c), weights, True, 1, 0.0, self.training, False, False)
        return output, (h.squeeze(0), c.squeeze(0))


class Sru(Cell):
    """Simple recurrent unit: the state is only ever multiplied by vectors, so the loop holds no matrix product."""

    kind = "sru"

    def prepare(self) -> None:
        nn.init.uniform_(self.get_parameter("peephole"), -1, 1)
        self.get_parameter("bias")[: self.hidden_size].fill_(1.0)

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        H = self.hidden_size
        driven = x @ self.weight("input", x).T  # [T, B, 3H or 4H]
        highway = driven[..., 3 * H :] if driven.shape[-1] == 4 * H else x
        peephole = self.weight("peephole", x)
        gates = driven[..., H : 3 * H] + self.weight("bias", x)
        _, c = state
        outputs = []
        for candidate, gate, skipped in zip(driven[..., :H], gates, highway, strict=True):
            f, r = torch.sigmoid(torch.addcmul(gate, peephole, c.repeat(1, 2))).chunk(2, dim=-1)
            c = torch.lerp(candidate, c, f)
            outputs.append(torch.lerp(skipped, c, r))
        return torch.stack(outputs), (outputs[-1], c)


class Qrnn(Cell):
    """Quasi-recurrent network: convolutions of width two, then a gated sum."""

    kind = "qrnn"

    def prepare(self) -> None:
        self.get_parameter("bias")[self.hidden_size : 2 * self.hidden_size].fill_(1.0)

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        H = self.hidden_size
        _, c, before = state
        previous = x @ self.weight("previous_input", x).T  # [T, B, 3H]
        shifted = torch.cat([before.unsqueeze(0), previous[:-1]])
        gates = x @ self.weight("input", x).T + shifted + self.weight("bias", x)
        z, f, o = gates[..., :H].tanh(), gates[..., H : 2 * H].sigmoid(), gates[..., 2 * H :].sigmoid()
        memories = []
        for candidate, kept in zip(z, f, strict=True):
            c = torch.lerp(candidate, c, kept)
            memories.append(c)
        outputs = o * torch.stack(memories)
        return outputs, (outputs[-1], c, previous[-1])


class MinGru(Cell):
    """Minimal GRU: its gate does not read the state."""

    kind = "mingru"

    def forward(self, x: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        driven = x @ self.weight("input", x).T + self.weight("bias", x)
        gate, candidate = driven[..., : self.hidden_size].sigmoid(), driven[..., self.hidden_size :]
        (h,) = state
        outputs = []
        for z, proposed in zip(gate, candidate, strict=True):
            h = torch.lerp(h, proposed, z)
            outputs.append(h)
        return torch.stack(outputs), (h,)


CELLS: Final[dict[str, type[Cell]]] = {
    cell.kind: cell for cell in (Elman, TanhElman, ReluElman, Gru, Lstm, Sru, Qrnn, MinGru)
}
