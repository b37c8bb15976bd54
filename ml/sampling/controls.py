"""What a caller may ask of a sentence."""

from dataclasses import dataclass
from math import isfinite

from ml.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Controls:
    """How sentences are drawn.

    temperature: 1 speaks as the model learnt, less is safer, 0 always says the most probable. top_k: only the k most
    probable tokens. top_p: only the fewest most probable tokens whose probabilities reach p. max_characters: of the
    whole text, prompt included. prompt: how the text begins.

    Raises ConfigError, naming the field, for values that make no sense.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    max_characters: int = 280
    prompt: str = ""

    def __post_init__(self) -> None:
        if not (isfinite(self.temperature) and self.temperature >= 0):
            raise ConfigError(f"temperature is {self.temperature}; it must be 0 or more.")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top_k is {self.top_k}; it must be 1 or more, or left out.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}; it must be above 0 and at most 1, or left out.")
        if self.max_characters < 1:
            raise ConfigError(f"max_characters is {self.max_characters}; it must be 1 or more.")
        if len(self.prompt) > self.max_characters:
            raise ConfigError(
                f"prompt has {len(self.prompt)} characters; max_characters allows {self.max_characters} in all."
            )
        try:
            self.prompt.encode()
        except UnicodeEncodeError as error:
            raise ConfigError("prompt holds half of a surrogate pair, which is no character.") from error
