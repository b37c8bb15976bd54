"""The naive loop: nn.LSTM called for one token, one multinomial draw, one sentence at a time. What most code does.

The network has the sizes and the weights of the model that it is compared with, so it says what that one says.
"""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ml import artifact
from ml.bench.peers.plain_lstm import PlainLstm, State
from ml.errors import ConfigError
from ml.models.recurrent_part import recurrent_of
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.preset import RecurrentRecipe


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Seconds that each sentence took; each has as many tokens."""

    sentence_seconds: tuple[float, ...]
    tokens: int


def measure(directory: Path, *, seconds: float, tokens: int, temperature: float, seed: int) -> Spoken:
    """Speak for so long with the recurrent network of an artifact. Raises ArtifactError, ConfigError."""
    loaded = artifact.load(directory)
    model = recurrent_of(loaded.model)
    network = network_of(model)
    torch.manual_seed(seed)
    until = time.perf_counter() + seconds
    took: list[float] = []
    while not took or time.perf_counter() < until:
        began_at = time.perf_counter()
        speak(network, eos=loaded.tokenizer.eos, tokens=tokens, temperature=temperature * model.temperature)
        took.append(time.perf_counter() - began_at)
    return Spoken(sentence_seconds=tuple(took), tokens=tokens)


def network_of(model: RecurrentLanguageModel) -> PlainLstm:
    """nn.Embedding → nn.LSTM → nn.Linear with the weights of a served model. Raises ConfigError for another cell."""
    if model.cell != "lstm":
        raise ConfigError(f"The naive loop is one of nn.LSTM, and this model's cell is {model.cell}. Take an LSTM.")
    recipe = RecurrentRecipe(
        cell=model.cell,
        embedding_size=model.embedding_size,
        hidden_size=model.hidden_size,
        layers=model.layers,
        tied=model.tied,
        context=model.context,
    )
    network = PlainLstm(recipe, vocabulary_size=model.vocabulary_size).eval()
    network.load_state_dict(_weights(model))
    return network


def _weights(model: RecurrentLanguageModel) -> dict[str, torch.Tensor]:
    """By the names of nn.LSTM, which adds a second bias that we do not have."""
    arrays = {name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()}
    named = {
        "embedding.weight": arrays["embedding"],
        "output.weight": arrays.get("output", arrays["embedding"]),
        "output.bias": arrays["output_bias"],
    }
    if "projection" in arrays:
        named["projection.weight"] = arrays["projection"]
    for layer in range(model.layers):
        bias = arrays[f"cells.{layer}.bias"]
        named[f"lstm.weight_ih_l{layer}"] = arrays[f"cells.{layer}.input"]
        named[f"lstm.weight_hh_l{layer}"] = arrays[f"cells.{layer}.recurrent"]
        named[f"lstm.bias_ih_l{layer}"] = bias
        named[f"lstm.bias_hh_l{layer}"] = torch.zeros_like(bias)
    return named


@torch.no_grad()
def speak(network: PlainLstm, *, eos: int, tokens: int, temperature: float) -> list[int]:
    """So many tokens, whatever they are, the first after one `<eos>`."""
    said: list[int] = []
    state: State | None = None
    token = torch.tensor([[eos]])
    for _ in range(tokens):
        logits, state = network(token, state)
        token = torch.multinomial(torch.softmax(logits[-1] / temperature, dim=-1), 1)
        said.append(int(token))
    return said
