"""State machines: the allowed moves of a state are one table beside it, and every change asks that table."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

State = TypeVar("State", bound=StrEnum)


def states_before(moves: Mapping[State, set[State]], target: State) -> list[State]:
    """The states from which `target` may be reached: the condition of the UPDATE that moves there."""
    return [state for state, targets in moves.items() if target in targets]
