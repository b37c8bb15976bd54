"""One step of a recurrent network as an ONNX graph with int8 weights: tokens and state in, probabilities and state out.

A matrix product y = x Wᵀ is reckoned in whole numbers: each row of x and each row of W has a scale of its own, so that
its largest entry becomes 127 or 63. Sums of products of whole numbers are exact, in whatever order and however many
rows are reckoned at once; so a row's result does not depend on the rows beside it, as it does with float32, whose
kernels change with the size of the batch.

Activations are eight bits wide, weights seven: without VNNI instructions a processor adds two products of u8 and s8 in
sixteen bits, which 255 · 127 · 2 would overflow and 255 · 63 · 2 does not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ml.language_model import FloatArray
from ml.models.recurrent_stepper import RecurrentLanguageModel, weights_of_layer

FORMAT: Final = "1"
_OPSET: Final = 21
_IR_VERSION: Final = 10
_RUNTIME: Final = "com.microsoft"
_WEIGHT_LIMIT: Final = 63
_ACTIVATION_LIMIT: Final = 127
_ZERO_POINT: Final = 128
_LEAST: Final = 1e-9  # a row of zeros has no largest entry to be scaled by

Name: TypeAlias = str


class _Graph:
    """Nodes and constants on their way to a model. Each operation returns the name of its result."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, array: NDArray[Any]) -> Name:
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, *inputs: Name, **attributes: Any) -> Name:
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[Name], n_outputs: int, **attributes: Any) -> list[Name]:
        outputs = [f"{kind.lower()}{len(self._nodes)}.{number}" for number in range(n_outputs)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def split(self, x: Name, sizes: Sequence[int]) -> list[Name]:
        """[B, Σ sizes] → [B, size] each."""
        return self.ops("Split", [x, self.constant(np.array(sizes, dtype=np.int64))], len(sizes), axis=1)

    def product(self, x: Name, weights: FloatArray) -> Name:
        """[B, K], weights [N, K] → x Wᵀ [B, N] float32, reckoned in int8."""
        quantized, scales = quantize(weights, limit=_WEIGHT_LIMIT)
        largest = self.op("ReduceMax", self.op("Abs", x), self.constant(np.array([1], dtype=np.int64)), keepdims=1)
        largest = self.op("Max", largest, self.constant(np.array(_LEAST, dtype=np.float32)))
        limit = self.constant(np.array(_ACTIVATION_LIMIT, dtype=np.float32))
        scaled = self.op("Round", self.op("Mul", x, self.op("Div", limit, largest)))
        shifted = self.op("Add", scaled, self.constant(np.array(_ZERO_POINT, dtype=np.float32)))
        whole = self.op("Cast", shifted, to=TensorProto.UINT8)
        zero_point = self.constant(np.array(_ZERO_POINT, dtype=np.uint8))
        # onnxruntime's own operator multiplies the sums by the scales as they come: two passes over [B, N] less.
        one = self.constant(np.array(1, dtype=np.float32))
        factors = (whole, self.constant(quantized.T), one, self.constant(scales), zero_point)
        sums = self.op("MatMulIntegerToFloat", *factors, domain=_RUNTIME)
        return self.op("Mul", sums, self.op("Div", largest, limit))

    def name(self, result: Name, wanted: Name) -> None:
        """Give a result the name by which it leaves the graph."""
        self._nodes.append(helper.make_node("Identity", [result], [wanted]))

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        graph = helper.make_graph(self._nodes, "step", list(inputs), list(outputs), self._constants)
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_RUNTIME, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


def quantize(weights: FloatArray, *, limit: int) -> tuple[NDArray[np.int8], FloatArray]:
    """[N, K] float32 → whole numbers [N, K] within ±limit and a scale a row [N]: weights ≈ scale · whole number."""
    largest = np.maximum(np.abs(weights).max(axis=1), np.float32(_LEAST))
    scales = (largest / limit).astype(np.float32)
    return np.rint(weights / scales[:, np.newaxis]).astype(np.int8), scales


def step_graph(model: RecurrentLanguageModel) -> onnx.ModelProto:
    """The graph of a network with all its weights.

    Inputs: `tokens` [B] int64 and the state before, `before.LAYER.PART` [B, ·] float32. Outputs: `probabilities` [B, V]
    and the state after, `after.LAYER.PART`.
    """
    graph = _Graph()
    kept = _kept(graph, eos=model.eos) if model.context == "post" else None
    x = _embedded(graph, model.arrays["embedding"])
    inputs, outputs = [_described("tokens", kind=TensorProto.INT64)], []
    for layer in range(model.layers):
        names = [f"{layer}.{part}" for part in range(len(model.state_sizes))]
        before = [f"before.{name}" for name in names]
        read = before if kept is None else [graph.op("Mul", name, kept) for name in before]
        after = _CELLS[model.cell](graph, x, read, weights_of_layer(model.arrays, layer))
        for name, result in zip(names, after, strict=True):
            graph.name(result, f"after.{name}")
        inputs += [_described(name, size=size) for name, size in zip(before, model.state_sizes, strict=True)]
        outputs += [_described(f"after.{name}", size=size) for name, size in zip(names, model.state_sizes, strict=True)]
        x = after[0]
    graph.name(_distribution(graph, model, x), "probabilities")
    described = graph.model(inputs, [_described("probabilities", size=model.vocabulary_size), *outputs])
    helper.set_model_props(described, {"format": FORMAT, "eos": str(model.eos)})
    return described


def _described(name: str, *, kind: int = TensorProto.FLOAT, size: int | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["B"] if size is None else ["B", size])


def _embedded(graph: _Graph, embedding: FloatArray) -> Name:
    """The rows of the tokens read: [B, E], kept as whole numbers too."""
    quantized, scales = quantize(embedding, limit=_ACTIVATION_LIMIT)
    rows = graph.op("Cast", graph.op("Gather", graph.constant(quantized), "tokens"), to=TensorProto.FLOAT)
    return graph.op("Mul", rows, graph.op("Gather", graph.constant(scales[:, np.newaxis]), "tokens"))


def _kept(graph: _Graph, *, eos: int) -> Name:
    """[B, 1]: 0 where a post begins and everything before is forgotten, else 1."""
    goes_on = graph.op("Not", graph.op("Equal", "tokens", graph.constant(np.array([eos], dtype=np.int64))))
    column = graph.op("Unsqueeze", goes_on, graph.constant(np.array([1], dtype=np.int64)))
    return graph.op("Cast", column, to=TensorProto.FLOAT)


def _distribution(graph: _Graph, model: RecurrentLanguageModel, x: Name) -> Name:
    """softmax((W P x + b) / temperature): the temperature is in the weights, so that it costs nothing."""
    if "projection" in model.arrays:
        x = graph.product(x, model.arrays["projection"])
    cooled = np.float32(1 / model.temperature)
    output = model.arrays.get("output", model.arrays["embedding"])
    logits = graph.product(x, output * cooled)
    biased = graph.op("Add", logits, graph.constant(model.arrays["output_bias"] * cooled))
    return graph.op("Softmax", biased, axis=1)


def _sum(graph: _Graph, *terms: Name) -> Name:
    total = terms[0]
    for term in terms[1:]:
        total = graph.op("Add", total, term)
    return total


def _between(graph: _Graph, a: Name, b: Name, gate: Name) -> Name:
    """a + gate ⊙ (b - a)."""
    return graph.op("Add", a, graph.op("Mul", gate, graph.op("Sub", b, a)))


Weights: TypeAlias = Mapping[str, FloatArray]
_Cell: TypeAlias = Callable[[_Graph, Name, Sequence[Name], Weights], list[Name]]


def _elman(activation: str) -> _Cell:
    def cell(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
        driven = graph.product(x, weights["input"])
        remembered = graph.product(state[0], weights["recurrent"])
        return [graph.op(activation, _sum(graph, driven, remembered, graph.constant(weights["bias"])))]

    return cell


def _gru(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
    (h,) = state
    H = len(weights["candidate_bias"])
    driven = _sum(graph, graph.product(x, weights["input"]), graph.constant(weights["bias"]))
    driven_gates, driven_candidate = graph.split(driven, [2 * H, H])
    gates, candidate = graph.split(graph.product(h, weights["recurrent"]), [2 * H, H])
    r, z = graph.split(graph.op("Sigmoid", _sum(graph, driven_gates, gates)), [H, H])
    remembered = graph.op("Mul", r, _sum(graph, candidate, graph.constant(weights["candidate_bias"])))
    n = graph.op("Tanh", _sum(graph, driven_candidate, remembered))
    return [_between(graph, n, h, z)]


def _lstm(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
    h, c = state
    H = weights["recurrent"].shape[1]
    driven, remembered = graph.product(x, weights["input"]), graph.product(h, weights["recurrent"])
    i, f, g, o = graph.split(_sum(graph, driven, remembered, graph.constant(weights["bias"])), [H] * 4)
    kept = graph.op("Mul", graph.op("Sigmoid", f), c)
    c = _sum(graph, kept, graph.op("Mul", graph.op("Sigmoid", i), graph.op("Tanh", g)))
    return [graph.op("Mul", graph.op("Sigmoid", o), graph.op("Tanh", c)), c]


def _sru(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
    _, c = state
    H = len(weights["bias"]) // 2
    driven = graph.product(x, weights["input"])
    candidate, gates, *widened = graph.split(driven, [H, 2 * H] + [H] * (weights["input"].shape[0] // H - 3))
    seen = graph.op("Mul", graph.op("Concat", c, c, axis=1), graph.constant(weights["peephole"]))
    opened = graph.op("Sigmoid", _sum(graph, gates, seen, graph.constant(weights["bias"])))
    f, r = graph.split(opened, [H, H])
    c = _between(graph, candidate, c, f)
    return [_between(graph, widened[0] if widened else x, c, r), c]


def _qrnn(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
    _, c, before = state
    H = len(weights["bias"]) // 3
    gates = _sum(graph, graph.product(x, weights["input"]), before, graph.constant(weights["bias"]))
    z, f, o = graph.split(gates, [H] * 3)
    c = _between(graph, graph.op("Tanh", z), c, graph.op("Sigmoid", f))
    return [graph.op("Mul", graph.op("Sigmoid", o), c), c, graph.product(x, weights["previous_input"])]


def _mingru(graph: _Graph, x: Name, state: Sequence[Name], weights: Weights) -> list[Name]:
    (h,) = state
    H = len(weights["bias"]) // 2
    driven = _sum(graph, graph.product(x, weights["input"]), graph.constant(weights["bias"]))
    gate, candidate = graph.split(driven, [H, H])
    return [_between(graph, h, candidate, graph.op("Sigmoid", gate))]


# The equations stand in ml/models/cell_steps.py, by the same names.
_CELLS: Final[dict[str, _Cell]] = {
    "elman": _elman("Sigmoid"),
    "elman-tanh": _elman("Tanh"),
    "elman-relu": _elman("Relu"),
    "gru": _gru,
    "lstm": _lstm,
    "sru": _sru,
    "qrnn": _qrnn,
    "mingru": _mingru,
}
