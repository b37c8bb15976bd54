"""What a language tag is."""

from typing import Annotated

from pydantic import Field

Language = Annotated[
    str,
    Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="BCP 47 tag.", examples=["en", "pt-BR"]),
]


def primary(language: str) -> str:
    """The language without region and script: "pt-BR" → "pt"."""
    return language.partition("-")[0].lower()
