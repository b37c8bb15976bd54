"""How many steps a training plans, and how its learning rate follows the plan."""

import pytest

from ml.training.budget import VALIDATION_SHARE, Budget
from ml.training.optimizers import FIRST_DIVISOR, LAST_DIVISOR, one_cycle


def budget(*, minutes: float | None, epochs: int = 10) -> Budget:
    return Budget(steps_an_epoch=100, epochs=epochs, minutes=minutes)


def test_without_minutes_all_epochs_are_planned() -> None:
    without = budget(minutes=None)
    assert not without.needs_measuring
    assert without.planned_steps(steps_done=15, elapsed_seconds=1e9, seconds_a_step=1e9) == 1000


def test_the_plan_fills_what_is_left_of_the_minutes_and_leaves_room_to_validate() -> None:
    planned = budget(minutes=1).planned_steps(steps_done=15, elapsed_seconds=10, seconds_a_step=0.5)
    spent_seconds = 10 + (planned - 15) * 0.5 * (1 + VALIDATION_SHARE)
    assert 59 < spent_seconds <= 60


def test_a_fast_machine_does_no_more_than_the_epochs() -> None:
    assert budget(minutes=1).planned_steps(steps_done=15, elapsed_seconds=0, seconds_a_step=1e-6) == 1000


def test_minutes_that_are_over_still_leave_one_step() -> None:
    assert budget(minutes=0.1).planned_steps(steps_done=15, elapsed_seconds=60, seconds_a_step=1) == 16


def test_a_training_shorter_than_the_measurement_is_planned_at_once() -> None:
    assert not Budget(steps_an_epoch=5, epochs=3, minutes=1).needs_measuring
    assert budget(minutes=1).needs_measuring


def test_the_learning_rate_goes_up_in_a_line_and_down_to_a_fraction() -> None:
    rates = [one_cycle(step, total_steps=100, peak=2.0) for step in range(101)]
    assert rates[0] == pytest.approx(2.0 / FIRST_DIVISOR)
    assert rates[10] == max(rates) == pytest.approx(2.0)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(2.0 / LAST_DIVISOR)


def test_the_plan_follows_the_machine_to_the_end() -> None:
    assert [step for step in range(1000) if budget(minutes=1).is_time_to_plan(step)] == [15, *range(100, 1000, 100)]
    assert not any(budget(minutes=None).is_time_to_plan(step) for step in range(1000))
