"""What is to be reached on two cores with the default persona model trained on `trump`, beside what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from app.bench.measures.bare_route import HEALTHZ
from app.bench.measures.beside_training import RATE as TRAINING_RATE
from app.bench.measures.many_personas import AMONG
from app.bench.measures.over_http import PROCESSES, loop_setting, rate_setting
from app.bench.row import Row
from ml.bench.table import Column, render_columns

Rows = Sequence[Row]
JUDGED_RATE: Final = 200


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One figure and its bound. measured: None where the rows that it is made of were not measured."""

    what: str
    wanted: float
    unit: str
    at_most: bool
    measured: Callable[[Rows], float | None]

    def reached(self, rows: Rows) -> bool | None:
        """Whether it is; None where it was not measured."""
        figure = self.measured(rows)
        if figure is None:
            return None
        return figure <= self.wanted if self.at_most else figure >= self.wanted


def _of(name: str, setting: str, figure: str) -> Callable[[Rows], float | None]:
    """The figure of one row."""

    def find(rows: Rows) -> float | None:
        found = (row for row in rows if row.name == name and setting in {"", row.setting})
        value: float | None = getattr(next(found, None), figure, None)
        return value

    return find


def _best_over_http(rows: Rows) -> float | None:
    """Sentences of 20 tokens a second, at the load that suits the service best."""
    speeds = [row.twenties_per_second for row in rows if row.name == "http" and row.twenties_per_second is not None]
    return max(speeds, default=None)


def _times_naive(rows: Rows) -> float | None:
    best, naive = _best_over_http(rows), _of("naive", "", "twenties_per_second")(rows)
    return None if best is None or naive is None else best / naive


GOALS: Final = (
    Goal(
        what="sentences a second over HTTP, 20 tokens each",
        wanted=500,
        unit="",
        at_most=False,
        measured=_best_over_http,
    ),
    Goal(what="the same over the naive loop", wanted=30, unit="×", at_most=False, measured=_times_naive),
    Goal(
        what="one request alone, n = 1, median",
        wanted=12,
        unit=" ms",
        at_most=True,
        measured=_of("http", loop_setting(1, 1), "p50_ms"),
    ),
    Goal(
        what=f"p99 at {JUDGED_RATE} requests a second, a process for every core",
        wanted=150,
        unit=" ms",
        at_most=True,
        measured=_of("rate", rate_setting(JUDGED_RATE, processes=PROCESSES), "p99_ms"),
    ),
    Goal(
        what=f"errors at {JUDGED_RATE} requests a second, a process for every core",
        wanted=0,
        unit="",
        at_most=True,
        measured=_of("rate", rate_setting(JUDGED_RATE, processes=PROCESSES), "errors"),
    ),
    Goal(
        what="/healthz over the bare FastAPI route",
        wanted=0.8,
        unit="",
        at_most=False,
        measured=_of("bare", HEALTHZ, "ratio"),
    ),
    Goal(
        what="memory of the process, 10 personas loaded",
        wanted=400,
        unit=" MB",
        at_most=True,
        measured=_of("memory", "", "rss_mb"),
    ),
    Goal(what="start to the first sentence", wanted=2.5, unit=" s", at_most=True, measured=_of("start", "", "seconds")),
    Goal(
        what="20 hot personas among 1,000, over the 20 alone",
        wanted=0.95,  # "unchanged"; two runs of the same differ by some per cent
        unit="",
        at_most=False,
        measured=_of("many", AMONG, "ratio"),
    ),
    Goal(
        what=f"p99 at {TRAINING_RATE} requests a second beside a training",
        wanted=300,
        unit=" ms",
        at_most=True,
        measured=_of("training", "", "p99_ms"),
    ),
)


def render(rows: Rows) -> str:
    """The table of the goals that were measured, without a newline at its end; empty where none was."""
    judged = [goal for goal in GOALS if goal.measured(rows) is not None]
    return render_columns(judged, _columns(rows)) if judged else ""


def _columns(rows: Rows) -> tuple[Column[Goal], ...]:
    return (
        Column("to reach", lambda goal: goal.what, always=True, is_text=True),
        Column("goal", lambda goal: f"{'≤' if goal.at_most else '≥'} {goal.wanted:g}{goal.unit}", always=True),
        Column("measured", lambda goal: _said(goal.measured(rows), goal.unit), always=True),
        Column("reached", lambda goal: "yes" if goal.reached(rows) else "no", always=True, is_text=True),
    )


def _said(figure: float | None, unit: str) -> str | None:
    return None if figure is None else f"{figure:,.4g}{unit}" if figure < 1000 else f"{figure:,.0f}{unit}"
