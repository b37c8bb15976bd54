"""Presets: recipes as data (presets/*.toml), read into frozen dataclasses."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.resources import files
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from ml.errors import ConfigError

CELLS = ("elman", "elman-tanh", "elman-relu", "gru", "lstm", "sru", "qrnn", "mingru")
CELLS_WITHOUT_MATRIX = ("sru", "qrnn", "mingru")
CONTEXTS = ("post", "stream")
CACHES = ("unigram", "continuous")
PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TextRecipe:
    """How posts become tokens."""

    tokenizer: str
    vocabulary_size: int

    def __post_init__(self) -> None:
        _check(2 <= self.vocabulary_size <= 1_000_000, "text.vocabulary_size", self.vocabulary_size, "2 to 1,000,000")


@dataclass(frozen=True, kw_only=True)
class KneserNeyRecipe:
    """A smoothed n-gram model. order: n."""

    family: ClassVar[str] = "kneser-ney"
    order: int

    def __post_init__(self) -> None:
        _check(1 <= self.order <= 12, "model.order", self.order, "1 to 12")


@dataclass(frozen=True, kw_only=True)
class MaximumLikelihoodRecipe:
    """An n-gram model without smoothing. order: n."""

    family: ClassVar[str] = "maximum-likelihood"
    order: int

    def __post_init__(self) -> None:
        _check(1 <= self.order <= 12, "model.order", self.order, "1 to 12")


@dataclass(frozen=True, kw_only=True)
class RecurrentRecipe:
    """A recurrent network: embedding → cells → softmax.

    context: how far back a state reaches: to the start of the "post", or through the whole "stream" of posts.
    """

    family: ClassVar[str] = "recurrent"
    cell: str
    embedding_size: int
    hidden_size: int
    layers: int
    tied: bool
    context: str

    def __post_init__(self) -> None:
        _check(self.cell in CELLS, "model.cell", self.cell, " or ".join(CELLS))
        for name in ("embedding_size", "hidden_size"):
            _check(1 <= getattr(self, name) <= 8192, f"model.{name}", getattr(self, name), "1 to 8192")
        _check(1 <= self.layers <= 8, "model.layers", self.layers, "1 to 8")
        _check(self.context in CONTEXTS, "model.context", self.context, " or ".join(CONTEXTS))


@dataclass(frozen=True, kw_only=True)
class DropoutRecipe:
    """Which share is dropped while training: of the tokens (embedding), of the embeddings' units (input), between
    layers (layer), of the last layer's units (output), of the recurrent weights (weight).
    """

    embedding: float = 0.0
    input: float = 0.0
    layer: float = 0.0
    output: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            _check(0 <= share < 1, f"dropout.{field.name}", share, "0 to below 1")


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Truncated back-propagation through time with AdamW on a one-cycle schedule.

    tuning_rate: learning_rate where it goes on from a base model.
    columns, window: B columns of T tokens are read before the weights are updated and the gradient is cut; posts that
    are read side by side share out the same B·T places. random_windows: T varies from update to update (Merity et al.
    2017, §4.1). clip: largest norm of the gradient. activation, temporal: strength of the penalties on outputs.
    epochs: most passes over the posts. patience: passes without a better validation perplexity before it stops.
    precision: "float32", "bfloat16", or "auto": bfloat16 where the processor multiplies matrices of it.
    """

    columns: int
    window: int
    learning_rate: float
    tuning_rate: float
    weight_decay: float
    clip: float
    epochs: int
    patience: int
    random_windows: bool = False
    activation: float = 0.0
    temporal: float = 0.0
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("columns", "window", "epochs", "patience"):
            _check(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "1 or more")
        for name in ("learning_rate", "tuning_rate"):
            _check(getattr(self, name) > 0, f"training.{name}", getattr(self, name), "above 0")
        _check(self.clip > 0, "training.clip", self.clip, "above 0")
        for name in ("weight_decay", "activation", "temporal"):
            _check(0 <= getattr(self, name) < math.inf, f"training.{name}", getattr(self, name), "0 or more")
        _check(self.precision in PRECISIONS, "training.precision", self.precision, " or ".join(PRECISIONS))


@dataclass(frozen=True, kw_only=True)
class CacheRecipe:
    """What was said lately becomes likelier, by how much is fitted on the validation posts.

    kind: "unigram" counts the last words, around any model; "continuous" compares the states of a recurrent one.
    """

    kind: str

    def __post_init__(self) -> None:
        _check(self.kind in CACHES, "cache.kind", self.kind, " or ".join(CACHES))


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A recipe. training is None for models that need no gradient steps; ngram is mixed into a recurrent model; cache
    goes around all, but a continuous one around the recurrent model alone.
    """

    name: str
    description: str
    text: TextRecipe
    model: KneserNeyRecipe | MaximumLikelihoodRecipe | RecurrentRecipe
    training: TrainingRecipe | None
    dropout: DropoutRecipe
    ngram: KneserNeyRecipe | None = None
    cache: CacheRecipe | None = None

    def __post_init__(self) -> None:
        if isinstance(self.model, RecurrentRecipe) and self.model.cell in CELLS_WITHOUT_MATRIX:
            _check(self.dropout.weight == 0, "dropout.weight", self.dropout.weight, "0 for a cell without a matrix")
        if self.cache is not None and not isinstance(self.model, RecurrentRecipe):
            _check(
                self.cache.kind == "unigram", "cache.kind", self.cache.kind, "unigram for a model that has no states"
            )


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Recipe = TypeVar("Recipe", bound=_Dataclass)


ModelRecipe: TypeAlias = KneserNeyRecipe | MaximumLikelihoodRecipe | RecurrentRecipe
MODELS: dict[str, type[ModelRecipe]] = {
    kind.family: kind for kind in (KneserNeyRecipe, MaximumLikelihoodRecipe, RecurrentRecipe)
}


def names() -> list[str]:
    """All presets, sorted."""
    folder = files("ml") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(name: str, overrides: Mapping[str, object] | None = None) -> Preset:
    """A preset, with some values replaced by dotted name (`{"text.tokenizer": "words"}`). Raises ConfigError."""
    if name not in names():
        raise ConfigError(f"There is no preset {name!r}; there are {', '.join(names())}.")
    data: dict[str, Any] = tomllib.loads((files("ml") / "presets" / f"{name}.toml").read_text())
    kind = MODELS[data["model"].pop("family")]
    sections: dict[str, type[_Dataclass]] = {"text": TextRecipe, "model": kind, "cache": CacheRecipe}
    if kind is RecurrentRecipe:
        sections |= {"dropout": DropoutRecipe, "training": TrainingRecipe}
    if "ngram" in data:
        sections["ngram"] = KneserNeyRecipe
    for key, value in (overrides or {}).items():
        section, _, field = key.partition(".")
        if section not in sections or field not in {known.name for known in fields(sections[section])}:
            raise ConfigError(f"Preset {name} has no {key!r} to override.")
        data.setdefault(section, {})[field] = value
    return Preset(
        name=name,
        description=data["description"],
        text=_read(TextRecipe, data["text"], "text"),
        model=_read(kind, data["model"], "model"),
        dropout=_read(DropoutRecipe, data.get("dropout", {}), "dropout"),
        training=_read(TrainingRecipe, data["training"], "training") if "training" in sections else None,
        ngram=_read(KneserNeyRecipe, data["ngram"], "ngram") if "ngram" in sections else None,
        cache=_read(CacheRecipe, data["cache"], "cache") if "cache" in data else None,
    )


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
