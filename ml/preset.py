"""Presets: recipes as data (presets/*.toml), read into frozen dataclasses."""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from typing import Any, ClassVar, Protocol, TypeVar

from ml.errors import ConfigError

CELLS = ("elman", "lstm")


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """How posts become tokens."""

    tokenizer: str
    vocabulary_size: int


@dataclass(frozen=True, kw_only=True)
class KneserNeyRecipe:
    """An n-gram model. order: n."""

    family: ClassVar[str] = "kneser-ney"
    order: int

    def __post_init__(self) -> None:
        _check(1 <= self.order <= 12, "model.order", self.order, "1 to 12")


@dataclass(frozen=True, kw_only=True)
class RecurrentRecipe:
    """A recurrent network: embedding → cells → softmax. dropout: share of the embeddings and of the outputs."""

    family: ClassVar[str] = "recurrent"
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    tied: bool
    dropout: float

    def __post_init__(self) -> None:
        _check(self.cell in CELLS, "model.cell", self.cell, " or ".join(CELLS))
        for name in ("embedding_size", "hidden_size"):
            _check(1 <= getattr(self, name) <= 8192, f"model.{name}", getattr(self, name), "1 to 8192")
        _check(1 <= self.layers <= 8, "model.layers", self.layers, "1 to 8")
        _check(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 to below 1")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Truncated back-propagation through time with AdamW on a one-cycle schedule.

    columns: B, parallel streams. window: T, tokens before the gradient is cut. clip: largest norm of the gradient.
    epochs: most passes over the posts. patience: passes without a better validation perplexity before it stops.
    """

    columns: int
    window: int
    learning_rate: float
    weight_decay: float
    clip: float
    epochs: int
    patience: int

    def __post_init__(self) -> None:
        for name in ("columns", "window", "epochs", "patience"):
            _check(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "1 or more")
        _check(self.learning_rate > 0, "training.learning_rate", self.learning_rate, "above 0")
        _check(self.clip > 0, "training.clip", self.clip, "above 0")


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A recipe. training is None for models that need no gradient steps; ngram is mixed into a recurrent model."""

    name: str
    description: str
    text: TextRecipe
    model: KneserNeyRecipe | RecurrentRecipe
    training: TrainingRecipe | None
    ngram: KneserNeyRecipe | None = None

    @property
    def family(self) -> str:
        """Which kind of model comes of it, as an artifact names it."""
        return self.model.family if self.ngram is None else "mixture"


def names() -> list[str]:
    """All presets, sorted."""
    folder = files("ml") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str, overrides: Mapping[str, object] | None = None) -> Preset:
    """A preset, with some values replaced by dotted name (`{"text.tokenizer": "words"}`). Raises ConfigError."""
    if name not in names():
        raise ConfigError(f"There is no preset {name!r}; there are {', '.join(names())}.")
    data: dict[str, Any] = tomllib.loads((files("ml") / "presets" / f"{name}.toml").read_text())
    for key, value in (overrides or {}).items():
        section, _, field = key.partition(".")
        table = data.get(section)
        if not isinstance(table, dict) or field not in table or field == "family":
            raise ConfigError(f"Preset {name} has no {key!r} to override.")
        data[section][field] = value
    recurrent = data["model"].pop("family") == RecurrentRecipe.family
    model: KneserNeyRecipe | RecurrentRecipe
    if recurrent:
        model = _read(RecurrentRecipe, data["model"], "model")
    else:
        model = _read(KneserNeyRecipe, data["model"], "model")
    return Preset(
        name=name,
        description=data["description"],
        text=_read(TextRecipe, data["text"], "text"),
        model=model,
        training=_read(TrainingRecipe, data["training"], "training") if recurrent else None,
        ngram=_read(KneserNeyRecipe, data["ngram"], "ngram") if "ngram" in data else None,
    )


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Recipe = TypeVar("Recipe", bound=_Dataclass)


def _read(kind: type[Recipe], values: Mapping[str, object], section: str) -> Recipe:
    wanted = {field.name: field for field in fields(kind)}
    if unknown := values.keys() - wanted.keys():
        raise ConfigError(f"{section} has no {', '.join(sorted(unknown))}; it has {', '.join(wanted)}.")
    if missing := {name for name, field in wanted.items() if field.default is MISSING} - values.keys():
        raise ConfigError(f"{section} lacks {', '.join(sorted(missing))}.")
    for name, value in values.items():
        _check_type(f"{section}.{name}", value, wanted[name].type)
    return kind(**values)


def _check_type(key: str, value: object, wanted: Any) -> None:
    """A whole number serves as a float; true and false are no numbers."""
    allowed = (int, float) if wanted is float else (wanted,)
    good = isinstance(value, allowed) and isinstance(value, bool) == (wanted is bool)
    _check(good, key, value, f"of type {wanted.__name__}")


def _check(good: bool, key: str, value: object, allowed: str) -> None:
    if not good:
        raise ConfigError(f"{key} is {value!r}; it has to be {allowed}.")
