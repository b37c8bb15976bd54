"""A network's gradient through time as JSON, as lines to read and as a plot."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from ml.errors import ConfigError
from ml.gradient_flow import GradientFlow, Norms, fading

# Distances that are printed: enough to see a curve, and they fit a screen.
_PRINTED: Final = (0, 1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000)
_COLOURS: Final = ("#1f5a96", "#b5482a", "#3a7d44", "#7a4b9c", "#8a6d1d", "#3b3b3b", "#0f7b83", "#a33b6d")


def to_json(flow: GradientFlow) -> str:
    """One line of JSON, without its end."""
    return json.dumps(asdict(flow))


def to_text(flow: GradientFlow) -> str:
    """Lines to read, each with its end."""
    return "".join(f"{line}\n" for line in _lines(flow))


def _lines(flow: GradientFlow) -> Iterator[str]:
    yield f"norm of the gradient of a token's cost by the state k steps back ({flow.cell}, context {flow.context})"
    for name, norms in _curves(flow):
        factor = fading(norms)
        trend = "" if math.isnan(factor) else f"; ×{factor:.3f} with each step back"
        yield f"{name}{trend}"
        yield "     k  places      median        5 %       95 %       mean"
        for at in norms:
            if at.k in _PRINTED:
                low, high = at.quantiles[0], at.quantiles[-1]
                yield f"  {at.k:4d}  {at.places:6d}  {at.median:10.3g} {low:10.3g} {high:10.3g} {at.mean:10.3g}"


def _curves(flow: GradientFlow) -> Iterator[tuple[str, Sequence[Norms]]]:
    for layer in flow.layers:
        yield f"layer {layer.layer}, hidden state", layer.hidden
        if layer.memory:
            yield f"layer {layer.layer}, memory", layer.memory


def write_plot(flow: GradientFlow, path: Path) -> None:
    """Draw the medians and the band from 5 to 95 % as SVG; no display is needed.

    Raises ConfigError for another file type, without matplotlib, or where the file cannot be written.
    """
    if path.suffix != ".svg":
        raise ConfigError(f"{path}: plots are drawn as SVG. Name it .svg.")
    try:
        # The figure by itself: pyplot would look for a display. Imported here, for it is optional and takes a second.
        from matplotlib import rc_context  # noqa: PLC0415
        from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError("A plot needs matplotlib. Install it: pip install 'mynah[plots]'.") from error
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for number, (name, norms) in enumerate(_curves(flow)):
        # A logarithm knows no 0: such a point is left out, and the line goes on behind it.
        shown = [at for at in norms if at.median > 0]
        colour = _COLOURS[number % len(_COLOURS)]
        k = [at.k for at in shown]
        axes.plot(k, [at.median for at in shown], color=colour, label=name)
        low, high = ([at.quantiles[end] or at.median for at in shown] for end in (0, -1))
        axes.fill_between(k, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    axes.set_xlabel("k, steps back")
    axes.set_ylabel("‖∂L_t / ∂h_{t-k}‖, median and 5 to 95 %")
    axes.set_title(f"Gradient through time: {flow.cell}, context {flow.context}")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    try:
        # Without date and random ids the same data give the same file.
        with rc_context({"svg.hashsalt": "mynah"}):
            figure.savefig(path, format="svg", metadata={"Date": None})
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error
