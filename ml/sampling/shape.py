"""What of a caller's controls shapes the distribution that a token is drawn from."""

from dataclasses import dataclass
from math import isfinite

from ml.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shape:
    """How the model's distribution is changed before a token is drawn, in the order in which it happens.

    temperature: each probability is raised to 1 / temperature; 0 takes the most probable token. top_k: only the k most
    probable tokens stay. top_p: only the fewest most probable whose probabilities reach p. typical_p: only the fewest
    that reach p, those first whose surprisal is nearest to the entropy. min_p: only those at least min_p times as
    probable as the most probable that is left. Each takes what the one before it left as the whole.

    Raises ConfigError, naming the field, for values that make no sense.

    Source: top_k: Fan et al. 2018, §5.4. top_p: Holtzman et al. 2020, §3.1. typical_p: Meister et al. 2023, "Locally
    Typical Sampling". min_p: Nguyen et al. 2024, "Turning Up the Heat".
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    min_p: float | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"temperature is {self.temperature}; it must be 0 or more.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; it must be 1 or more, or left out.")
        for name, share in (("top_p", self.top_p), ("typical_p", self.typical_p)):
            if share is not None and not 0 < share <= 1:
                raise ConfigError(f"{name} is {share}; it must be above 0 and at most 1, or left out.")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ConfigError(f"min_p is {self.min_p}; it must be from 0 to 1, or left out.")
