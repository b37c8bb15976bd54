"""The int8 step against the network's own, in numpy."""

from pathlib import Path

import numpy as np
import pytest

from ml.errors import ArtifactError
from ml.language_model import FloatArray, TokenArray
from ml.models.cell_steps import CELL_STEPS
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.serving.quantized_recurrent import FILE_NAME, QuantizedRecurrent
from ml.serving.step_graph import quantize, step_graph
from tests.ml.serving.networks import EOS, V, network


def quantized(model: RecurrentLanguageModel, directory: Path) -> QuantizedRecurrent:
    (directory / FILE_NAME).write_bytes(step_graph(model).SerializeToString())
    return QuantizedRecurrent.load(directory)


def columns(B: int, T: int, *, seed: int = 1) -> TokenArray:
    """[T, B] tokens, some of them `<eos>`."""
    tokens = np.random.default_rng(seed).integers(0, V, (T, B))
    tokens[0] = EOS
    return tokens


@pytest.mark.parametrize("cell", CELL_STEPS)
@pytest.mark.parametrize(("layers", "tied", "context"), [(1, True, "post"), (2, False, "stream")])
def test_every_cell_says_nearly_what_its_network_says(
    cell: str, layers: int, tied: bool, context: str, tmp_path: Path
) -> None:
    model = network(cell, layers=layers, tied=tied, context=context)
    step = quantized(model, tmp_path)
    exact_state, state = model.initial_state(3), step.initial_state(3)
    for tokens in columns(3, 6):
        log_probs, exact_state = model.step(tokens, exact_state)
        probabilities, state = step.step(tokens, state)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        divergence = (np.exp(log_probs) * (log_probs - np.log(probabilities))).sum(axis=1)
        assert divergence.max() < 0.01


@pytest.mark.parametrize("cell", CELL_STEPS)
def test_a_row_is_the_same_to_the_last_bit_alone_and_in_any_batch(cell: str, tmp_path: Path) -> None:
    step = quantized(network(cell, layers=2), tmp_path)
    B = 33
    _, state = step.step(columns(B, 1)[0], step.initial_state(B))
    tokens = columns(B, 2)[1]
    together, after = step.step(tokens, state)
    for rows in ([4], [32, 0], list(range(1, B, 3)), list(range(31))):
        chosen = np.array(rows)
        some, some_after = step.step(tokens[chosen], state.take(chosen))
        np.testing.assert_array_equal(some, together[chosen])
        for parts, expected in zip(some_after.layers, after.take(chosen).layers, strict=True):
            for part, whole in zip(parts, expected, strict=True):
                np.testing.assert_array_equal(part, whole)


def test_reading_eos_forgets_what_was_before_it(tmp_path: Path) -> None:
    step = quantized(network(), tmp_path)
    _, state = step.step(np.array([7, 9]), step.initial_state(2))
    fresh, _ = step.step(np.array([EOS]), step.initial_state(1))
    after, _ = step.step(np.array([EOS, 3]), state)
    np.testing.assert_array_equal(after[0], fresh[0])
    assert not np.array_equal(after[1], fresh[0])


def test_weights_are_whole_numbers_within_the_limit_and_half_a_step_off_at_most() -> None:
    weights: FloatArray = np.random.default_rng(3).standard_normal((5, 40)).astype(np.float32)
    weights[2] = 0
    whole, scales = quantize(weights, limit=63)
    assert np.abs(whole).max(axis=1).tolist() == [63, 63, 0, 63, 63]
    assert np.all(np.abs(whole * scales[:, np.newaxis] - weights) <= scales[:, np.newaxis] * 0.5001)


@pytest.mark.parametrize("content", [b"", b"no graph", None])
def test_a_damaged_step_is_an_artifact_error(content: bytes | None, tmp_path: Path) -> None:
    whole = step_graph(network()).SerializeToString()
    (tmp_path / FILE_NAME).write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ArtifactError, match="holds no step of a network"):
        QuantizedRecurrent.load(tmp_path)


def test_a_step_of_another_format_is_an_artifact_error(tmp_path: Path) -> None:
    graph = step_graph(network())
    del graph.metadata_props[:]
    (tmp_path / FILE_NAME).write_bytes(graph.SerializeToString())
    with pytest.raises(ArtifactError, match="format None"):
        QuantizedRecurrent.load(tmp_path)
