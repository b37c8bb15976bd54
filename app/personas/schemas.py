"""Personas on the wire."""

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.personas.filter_policy import FilterChanges, FilterPolicy
from app.personas.handles import HANDLE_PATTERN
from app.personas.languages import Language

Handle = Annotated[
    str,
    Field(pattern=HANDLE_PATTERN, description="Letters, digits and _; at most 30.", examples=["trump"]),
    AfterValidator(str.lower),
]


def _without_controls(text: object) -> object:
    """Control characters have no place in a name, and NUL and halves of surrogate pairs none in the database."""
    if not isinstance(text, str):
        return text
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t" for character in text):
        raise ValueError("contains control characters")
    return text.strip()


PersonaName = Annotated[
    str, Field(min_length=1, max_length=100, examples=["TrumpBot"]), BeforeValidator(_without_controls)
]
Bio = Annotated[str, Field(max_length=1000, examples=["A bot."]), BeforeValidator(_without_controls)]


class PersonaCreate(BaseModel):
    """A new persona."""

    model_config = ConfigDict(extra="forbid")

    handle: Handle
    name: PersonaName
    bio: Bio = ""
    language: Language | None = None
    filters: FilterChanges = FilterChanges()


class PersonaUpdate(BaseModel):
    """What changes; a field that is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: PersonaName | None = None
    bio: Bio | None = None
    language: Language | None = None
    filters: FilterChanges | None = None


class PersonaOut(BaseModel):
    """A persona."""

    model_config = ConfigDict(from_attributes=True)

    handle: str = Field(examples=["trump"])
    name: str
    bio: str
    language: str | None
    filters: FilterPolicy
    created_at: datetime
    updated_at: datetime
