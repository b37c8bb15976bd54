"""Models inside models: each lies in a folder of its own, so that two of one family do not collide."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ml.errors import ArtifactError
from ml.language_model import StoredModel

# A name is a folder's name, and no way out of the folder.
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def check_name(name: str) -> None:
    """Raises ValueError for a name that no component can have."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a component: it is made of a-z, 0-9 and -")


def save_component(model: StoredModel, directory: Path, name: str) -> dict[str, str]:
    """Write a model into the folder `name`; returns what `load_component` has to know."""
    model.save(directory / name)
    return {"name": name, "family": family_of(model)}


def load_component(directory: Path, described: dict[str, Any]) -> StoredModel:
    """The model that `save_component` described. Raises ArtifactError, ValueError, KeyError, TypeError."""
    # Imported here: families lists the models that are made of others, which import this file.
    from ml.models.families import FAMILIES  # noqa: PLC0415

    check_name(described["name"])
    if described["family"] not in FAMILIES:
        raise ValueError(f"there is no family {described['family']!r}")
    return FAMILIES[described["family"]].load(directory / described["name"])


@contextmanager
def described_model(path: Path, *, wanted_format: int) -> Iterator[dict[str, Any]]:
    """What a model's JSON file says, for a block that builds the model from it.

    Raises ArtifactError where the file cannot be read, is of another format, or the block cannot make a model of it.
    """
    try:
        described = json.loads(path.read_text())
        if described.get("format") != wanted_format:
            raise ArtifactError(
                f"{path} has format {described.get('format')!r}; this version reads format {wanted_format!r}."
                " Train the model again."
            )
        yield described
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{path} holds no model: {error}.") from error


def family_of(model: StoredModel) -> str:
    """The name by which files call the kind of this model."""
    from ml.models.families import FAMILIES  # noqa: PLC0415

    return next(family for family, kind in FAMILIES.items() if type(model) is kind)
