"""A training's directory made out of corpus files: the one place that lays it out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ml import artifact, preset
from ml.errors import ConfigError, CorpusError
from ml.models.recurrent_part import recurrent_of
from ml.training import run

# A vocabulary that no corpus of posts fills: with closed-vocabulary words every word of the file is one.
ALL_WORDS: Final = 1_000_000
FILES: Final = ({"posts"}, {"train", "valid", "test"})


def tokenizer_overrides(kind: str | None) -> dict[str, object]:
    """What to override in a preset so that it reads tokens of this kind; nothing where kind is None."""
    if kind is None:
        return {}
    chosen: dict[str, object] = {"text.tokenizer": kind}
    if kind == "words":
        chosen["text.vocabulary_size"] = ALL_WORDS
    return chosen


def prepare(directory: Path, request: run.Request, *, files: Mapping[str, Sequence[Path]]) -> None:
    """Copy the corpus into a new directory and write the request beside it.

    files: raw posts by the name `posts`, or fixed splits by the names `train`, `valid` and `test`; several files of a
    name, as of several personas, become one.

    Raises ConfigError when something lies in the directory, the files are not those, or the preset does not exist;
    CorpusError when a file is not there.
    """
    if set(files) not in FILES:
        raise ConfigError("Give either --corpus, or --train, --valid and --test.")
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty. Give a new one, or no corpus to go on with what is there.")
    preset.load(request.preset, request.overrides)
    if request.base is not None:
        recurrent_of(artifact.load(Path(request.base)).model)
    for paths in files.values():
        _check(paths)
    directory.mkdir(parents=True, exist_ok=True)
    for name, paths in files.items():
        with (directory / f"{name}{paths[0].suffix}").open("wb") as pooled:
            for path in paths:
                content = path.read_bytes()
                pooled.write(content if content.endswith(b"\n") else content + b"\n")
    run.write_request(directory, request)


def _check(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.suffix not in run.SUFFIXES:
            raise ConfigError(f"{path}: name it .jsonl (an object with a text a line) or .txt (a post a line).")
        if not path.is_file():
            raise CorpusError(f"{path} is no file that can be read.")
    if len({path.suffix for path in paths}) > 1:
        raise ConfigError(f"{', '.join(map(str, paths))}: files that are pooled have to be all .jsonl or all .txt.")
