"""What `python -m ml evaluate` found out, as values, as JSON and as lines to read."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Self

from ml.evaluation.bootstrap import Comparison, Intervals
from ml.evaluation.calibration import Calibration
from ml.evaluation.lengths import LengthCalibration, LengthGap, Lengths
from ml.evaluation.posts import TokenSurprisal
from ml.score import Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """The cost of a file."""

    perplexity: float
    bits_per_byte: float
    nats: float
    tokens: int
    bytes: int

    @classmethod
    def of(cls, score: Score) -> Self:
        return cls(
            perplexity=score.perplexity,
            bits_per_byte=score.bits_per_byte,
            nats=score.nats,
            tokens=score.tokens,
            bytes=score.bytes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class PostCost:
    """The cost of one post, and of each of its tokens."""

    nats: float
    tokens: int
    bytes: int
    surprisal: Sequence[TokenSurprisal]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dynamic:
    """How a model that goes on learning does so, and the file by which that was chosen."""

    chosen_on: str
    learning_rate: float
    decay: float
    normalised: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """The other model on the same file, and how the two compare."""

    artifact: str
    totals: Totals
    comparison: Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What was asked for; None is what was not."""

    posts: int
    totals: Totals
    dynamic: Dynamic | None = None
    intervals: Intervals | None = None
    against: Against | None = None
    lengths: LengthCalibration | None = None
    calibration: Calibration | None = None
    costs: Sequence[PostCost] | None = None


def to_json(report: Report) -> str:
    """One line of JSON, without its end; what was not asked for is left out, what is infinite is null."""
    return json.dumps({name: _finite(value) for name, value in asdict(report).items() if value is not None})


def _finite(value: object) -> object:
    match value:
        case dict():
            return {name: _finite(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
    return value


def to_text(report: Report) -> str:
    """Lines to read, each with its end."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield _totals(report.totals)
    if report.dynamic is not None:
        yield _dynamic(report.dynamic)
    if report.intervals is not None:
        yield from _intervals(report.intervals, posts=report.posts)
    if report.against is not None:
        yield from _against(report.against)
    if report.lengths is not None:
        yield f"lengths of {report.lengths.sentences} sentences at temperature 1 against {report.posts} posts"
        yield from _gap("tokens", report.lengths.tokens)
        yield from _gap("characters", report.lengths.characters)
    if report.calibration is not None:
        yield from _calibration(report.calibration)
    for number, cost in enumerate(report.costs or (), start=1):
        yield f"post {number}: {cost.nats:.2f} nats, {cost.tokens} tokens, {cost.bytes} bytes"
        yield "  " + "  ".join(f"{token.text or '<eos>'!r} {token.nats:.2f}" for token in cost.surprisal)


def _totals(totals: Totals) -> str:
    return (
        f"perplexity {totals.perplexity:.2f}, {totals.bits_per_byte:.4f} bits/byte, {totals.tokens} tokens, "
        f"{totals.bytes} bytes"
    )


def _dynamic(found: Dynamic) -> str:
    rule = "normalised by its root mean square" if found.normalised else "plain"
    return (
        f"  while learning on: gradient {rule}, rate {found.learning_rate:g}, decay {found.decay:g}, "
        f"chosen on {found.chosen_on}"
    )


def _intervals(found: Intervals, *, posts: int) -> Iterator[str]:
    perplexity, bits = found.perplexity, found.bits_per_byte
    yield f"{perplexity.level:.0%} interval, by bootstrap over {posts} posts"
    yield f"  perplexity {perplexity.low:.2f} … {perplexity.high:.2f}"
    yield f"  bits/byte {bits.low:.4f} … {bits.high:.4f}"


def _against(other: Against) -> Iterator[str]:
    found = other.comparison
    yield f"against {other.artifact}: {_totals(other.totals)}"
    yield (
        f"  {found.difference:+.4f} bits/byte ({found.interval.level:.0%}: {found.interval.low:+.4f} … "
        f"{found.interval.high:+.4f}); better with probability {found.probability_better:.3f}"
    )


def _gap(unit: str, gap: LengthGap) -> Iterator[str]:
    yield f"  {unit}: {_lengths(gap.sampled)} sampled"
    yield f"  {' ' * len(unit)}  {_lengths(gap.held_out)} held out"
    yield (
        f"  {' ' * len(unit)}  Kolmogorov-Smirnov {gap.kolmogorov_smirnov:.3f} (up to {gap.by_chance:.3f} by chance), "
        f"Wasserstein {gap.wasserstein:.2f} {unit}"
    )


def _lengths(lengths: Lengths) -> str:
    quantiles = " ".join(f"{value:.0f}" for value in lengths.quantiles)
    return f"mean {lengths.mean:.1f}, quantiles 5 25 50 75 95 %: {quantiles}"


def _calibration(found: Calibration) -> Iterator[str]:
    yield f"calibration of the most probable token, {found.tokens} tokens: expected error {found.error:.4f}"
    for part in found.bins:
        yield (
            f"  {part.low:.1f} … {part.high:.1f}: sure {part.confidence:.3f}, right {part.accuracy:.3f} "
            f"({part.tokens} tokens)"
        )
