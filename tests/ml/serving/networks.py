"""Small recurrent networks with random weights."""

import numpy as np

from ml.models.cell_steps import CELL_STEPS
from ml.models.recurrent_stepper import RecurrentLanguageModel

V, E, H, EOS = 50, 24, 32, 1


def network(
    cell: str = "lstm",
    *,
    layers: int = 1,
    tied: bool = True,
    context: str = "post",
    temperature: float = 0.9,
    seed: int = 0,
) -> RecurrentLanguageModel:
    source = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return (source.standard_normal(shape) * 0.3).astype(np.float32)

    arrays = {"embedding": weights(V, E), "output_bias": weights(V)}
    arrays |= {"projection": weights(E, H)} if tied else {"output": weights(V, H)}
    for layer in range(layers):
        for name, shape in CELL_STEPS[cell].shapes(E if layer == 0 else H, H).items():
            arrays[f"cells.{layer}.{name}"] = weights(*shape)
    return RecurrentLanguageModel(arrays, cell=cell, eos=EOS, context=context, temperature=temperature)
