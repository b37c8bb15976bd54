"""The file in which every tokenizer keeps itself: one JSON object that names its kind."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypedDict, cast

from ml.errors import ArtifactError

FILE_NAME: Final = "tokenizer.json"
FORMAT: Final = 1


class TokenizerFile(TypedDict):
    """What is common to all kinds; each adds fields of its own."""

    kind: str
    format: int


def write_tokenizer_file(directory: Path, kind: str, *, fields: Mapping[str, object]) -> None:
    """Write `tokenizer.json`; the same tokenizer gives the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    content = {"kind": kind, "format": FORMAT, **fields}
    (directory / FILE_NAME).write_text(json.dumps(content, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def read_kind(directory: Path) -> str:
    """The kind of the tokenizer that lies in the directory."""
    return cast(TokenizerFile, _read(directory))["kind"]


def read_fields(directory: Path, kind: str) -> dict[str, object]:
    """The fields of a tokenizer that must be of this kind.

    Raises ArtifactError when the file is missing, broken, of another kind or of another format.
    """
    content = _read(directory)
    if content["kind"] != kind:
        raise ArtifactError(f"{directory / FILE_NAME} holds a tokenizer of kind {content['kind']!r}, not {kind!r}.")
    return content


def _read(directory: Path) -> dict[str, object]:
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # broken UTF-8 or broken JSON
        raise ArtifactError(f"{path} is not a JSON file: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise ArtifactError(f"{path} does not say which kind of tokenizer it holds.")
    if content.get("format") != FORMAT:
        raise ArtifactError(f"{path} has format {content.get('format')!r}; this version reads format {FORMAT}.")
    return content
