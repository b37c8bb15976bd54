"""What is to be reached, judged by the rows."""

import pytest

from app.bench import goals
from app.bench.goals import GOALS
from app.bench.measures.over_http import PROCESSES, rate_setting
from app.bench.row import Row, render
from tests.ml.bench.test_table import cells

ROWS = [
    Row(name="naive", setting="nn.LSTM, torch.multinomial", tokens_per_second=290),
    Row(name="http", setting="c = 1, n = 1", tokens_per_second=1800, p50_ms=12.0),
    Row(name="http", setting="c = 8, n = 10", tokens_per_second=11_600, p50_ms=80),
    Row(name="rate", setting="100 requests/s", p99_ms=20, errors=0),
    Row(name="rate", setting=rate_setting(200, processes=PROCESSES), p99_ms=150.1, errors=3),
    Row(name="memory", rss_mb=380),
    Row(name="start", seconds=2.4),
    Row(name="training", p99_ms=299, errors=0),
]


def judged() -> dict[str, tuple[float | None, bool | None]]:
    return {goal.what: (goal.measured(ROWS), goal.reached(ROWS)) for goal in GOALS}


@pytest.mark.parametrize(
    ("what", "figure", "reached"),
    [
        ("sentences a second over HTTP, 20 tokens each", 580, True),
        ("the same over the naive loop", 40, True),
        ("one request alone, n = 1, median", 12.0, True),
        ("p99 at 200 requests a second, a process for every core", 150.1, False),
        ("errors at 200 requests a second, a process for every core", 3, False),
        ("memory of the process, 10 personas loaded", 380, True),
        ("start to the first sentence", 2.4, True),
        ("p99 at 50 requests a second beside a training", 299, True),
        ("/healthz over the bare FastAPI route", None, None),
        ("20 hot personas among 1,000, over the 20 alone", None, None),
    ],
)
def test_each_goal_is_judged_by_its_row(what: str, figure: float | None, reached: bool | None) -> None:
    assert judged()[what] == (figure, reached)


def test_the_table_tells_the_goals_that_were_measured() -> None:
    head, *rows = cells(goals.render(ROWS))
    assert head == ["to reach", "goal", "measured", "reached"]
    assert len(rows) == 8
    assert rows[3] == ["p99 at 200 requests a second, a process for every core", "≤ 150 ms", "150.1 ms", "no"]
    assert goals.render([Row(name="markovify", tokens_per_second=9000)]) == ""


def test_the_rows_show_the_columns_that_hold_something() -> None:
    head, first, second = cells(
        render([Row(name="rate", setting="50 requests/s", errors=0), Row(name="start", seconds=2)])
    )
    assert head == ["row", "setting", "errors", "s"]
    assert first == ["rate", "50 requests/s", "0", "–"]
    assert second == ["start", "–", "–", "2.00"]


def test_speeds_are_also_told_in_sentences_of_twenty_tokens() -> None:
    assert Row(name="http", tokens_per_second=1000).twenties_per_second == 50
    assert Row(name="http").twenties_per_second is None
