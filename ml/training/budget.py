"""How many steps: as many as the epochs have, or as fit into the minutes, however fast the machine is at the moment."""

from dataclasses import dataclass

# Steps whose speed is measured before the rest is planned; the first ones are slower and do not count.
WARM_UP_STEPS = 3
MEASURED_STEPS = 12
# A machine that other programs use changes its speed, and the plan follows it: the learning rate, which depends on the
# share of the plan that is done, comes down to its end when the minutes do.
REPLAN_STEPS = 100
# What validation at the end of each epoch costs, as a share of the epoch: a tenth of the posts, forward only.
VALIDATION_SHARE = 0.06


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """The limits of a training: passes over the posts, and minutes of the clock where they are given."""

    steps_an_epoch: int
    epochs: int
    minutes: float | None

    @property
    def most_steps(self) -> int:
        return self.steps_an_epoch * self.epochs

    @property
    def needs_measuring(self) -> bool:
        return self.minutes is not None and self.most_steps > WARM_UP_STEPS + MEASURED_STEPS

    def is_time_to_plan(self, steps_done: int) -> bool:
        """After the first measured steps, and again now and then."""
        if not self.needs_measuring:
            return False
        first = steps_done == WARM_UP_STEPS + MEASURED_STEPS
        return first or (steps_done > 0 and steps_done % REPLAN_STEPS == 0)

    def is_over(self, *, elapsed_seconds: float) -> bool:
        """Whether the minutes are up, whatever was planned."""
        return self.minutes is not None and elapsed_seconds >= self.minutes * 60

    def planned_steps(self, *, steps_done: int, elapsed_seconds: float, seconds_a_step: float) -> int:
        """All steps of the training, those done included, so that the minutes are used and not exceeded."""
        if self.minutes is None:
            return self.most_steps
        left = self.minutes * 60 - elapsed_seconds
        affordable = int(left / (seconds_a_step * (1 + VALIDATION_SHARE)))
        return max(steps_done + 1, min(self.most_steps, steps_done + affordable))
