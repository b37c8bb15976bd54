"""Writing the int8 step of a model beside its weights, where it says nearly the same."""

import math
from pathlib import Path
from typing import Final

import numpy as np

from ml.language_model import LanguageModel, TokenArray
from ml.models.mixture import Mixture
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.unigram_cache import UnigramCache
from ml.serving.quantized_recurrent import FILE_NAME, QuantizedRecurrent
from ml.serving.scores import score
from ml.serving.speaker import PlainSpeaker

LARGEST_SHIFT: Final = 0.005
"""How far the perplexity may move, as a share of it, for seven-bit weights to be served."""

# So many tokens tell a shift of half a percent from none, since both models are asked for the same ones.
MOST_TOKENS: Final = 20_000


def export(model: LanguageModel, directory: Path, *, tokens: TokenArray) -> float | None:
    """Write `step.onnx` beside the weights of the recurrent network in a model.

    directory: where the model lies; tokens: [T] int64, held-out posts. Returns by what share their perplexity under
    the network moves with int8 weights (0.001: a tenth of a percent more); a network that moves by more than
    LARGEST_SHIFT keeps no int8 step and is served in float32. None where there is no network to export: n-grams alone,
    or one whose hidden states a continuous cache has to see.
    """
    match model:
        case Mixture():
            found = (export(part, directory / name, tokens=tokens) for name, part in model.components.items())
            return next((shift for shift in found if shift is not None), None)
        case UnigramCache():
            return export(model.model, directory / "model", tokens=tokens)
        case RecurrentLanguageModel():
            return _export(model, directory, tokens=tokens[:MOST_TOKENS])
    return None


def _export(model: RecurrentLanguageModel, directory: Path, *, tokens: TokenArray) -> float:
    # Imported here: whoever serves a model needs no onnx.
    from ml.serving.step_graph import step_graph  # noqa: PLC0415

    path = directory / FILE_NAME
    path.write_bytes(step_graph(model).SerializeToString())
    # Both read each post from the start, whatever the context of the network: so are sentences drawn.
    quantized = score(QuantizedRecurrent.load(directory), tokens, eos=model.eos)
    exact = model.score(tokens) if model.context == "post" else score(PlainSpeaker(model), tokens, eos=model.eos)
    shift = math.expm1(float(np.mean(exact, dtype=np.float64) - np.mean(quantized, dtype=np.float64)))
    if not abs(shift) <= LARGEST_SHIFT:
        path.unlink()
    return shift
