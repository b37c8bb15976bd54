"""preset + posts + directory → artifact: the one place that wires the parts.

A training's directory holds `request.json` and either `posts.jsonl` (raw posts: cleaned and split here) or the fixed
splits `train.*`, `valid.*`, `test.*` (taken as they are). It gets `checkpoint/`, and in the end `artifact/` and
`results.jsonl`, the evaluations. Run again, a directory goes on where it was, or tells its results once more.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any

from ml import artifact, preset
from ml.artifact import Artifact
from ml.errors import ConfigError, CorpusTooSmall
from ml.evaluation import evaluate
from ml.language_model import LanguageModel, StoredModel, TokenArray
from ml.models.components import family_of
from ml.models.continuous_cache import ContinuousCache
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.models.mixture import Mixture
from ml.models.recurrent_part import recurrent_of
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.temperature import with_best_temperature
from ml.models.unigram_cache import UnigramCache
from ml.preset import KneserNeyRecipe, MaximumLikelihoodRecipe, Preset, RecurrentRecipe
from ml.text.cleaning import clean, is_repost
from ml.text.corpus_index import CorpusIndex
from ml.text.posts import read_posts
from ml.text.splits import Splits, split_posts
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import learn_tokenizer
from ml.training import events
from ml.training.events import Event

REQUEST = "request.json"
RESULTS = "results.jsonl"
ARTIFACT = "artifact"
CHECKPOINT = "checkpoint"
SUFFIXES = (".jsonl", ".txt")
MOST_SEEDS = 2**63
MOST_MINUTES = 7 * 24 * 60
MOST_EPOCHS = 100_000


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to train.

    minutes: budget of the clock; epochs: passes at most; champion: an artifact to compare with; base: an artifact from
    whose recurrent network, and with whose tokenizer, the training goes on.
    """

    preset: str
    seed: int
    minutes: float | None = None
    epochs: int | None = None
    champion: str | None = None
    base: str | None = None
    overrides: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Types are checked too: a request is read from a file that anybody may have written."""
        _check(isinstance(self.preset, str), "preset", self.preset, "the name of a preset")
        _check(_is_whole(self.seed) and 0 <= self.seed < MOST_SEEDS, "seed", self.seed, "a whole number of 0 or more")
        minutes, epochs = self.minutes, self.epochs
        timed = isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 < minutes <= MOST_MINUTES
        _check(minutes is None or timed, "minutes", minutes, "above 0 and at most a week")
        counted = _is_whole(epochs) and 1 <= (epochs or 0) <= MOST_EPOCHS
        _check(epochs is None or counted, "epochs", epochs, f"a whole number from 1 to {MOST_EPOCHS:,}")
        for name, folder in (("champion", self.champion), ("base", self.base)):
            _check(folder is None or isinstance(folder, str), name, folder, "a directory")
        _check(isinstance(self.overrides, Mapping), "overrides", self.overrides, "an object of settings by name")


def write_request(directory: Path, request: Request) -> None:
    """Put a request into a training's directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / REQUEST).write_text(json.dumps(asdict(request), indent=2))


def read_request(directory: Path) -> Request:
    """The request in a directory. Raises ConfigError."""
    try:
        return Request(**json.loads((directory / REQUEST).read_text()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"{directory / REQUEST} cannot be read as a request: {error}.") from error


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(good: bool, name: str, value: object, allowed: str) -> None:
    if not good:
        raise ConfigError(f"{name} is {value!r}; it has to be {allowed}.")


def run(directory: Path, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Train what the directory asks for. Raises MlError, Interrupted."""
    if (directory / RESULTS).exists() and (directory / ARTIFACT / artifact.CONFIG).exists():
        yield from _told_before(directory / RESULTS)
        return
    request = read_request(directory)
    recipe = preset.load(request.preset, request.overrides)
    # Loaded first: one that is damaged should be known before minutes are spent.
    champion = None if request.champion is None else artifact.load(Path(request.champion))
    base = None if request.base is None else artifact.load(Path(request.base))
    splits = _splits(directory)
    tokenizer = base.tokenizer if base is not None else _tokenizer(recipe, splits)
    model: StoredModel | None = None
    for outcome in _train(recipe, request, splits, tokenizer, base=base, directory=directory, stop=stop):
        if isinstance(outcome, Event):
            yield outcome
        else:
            model = outcome
    if model is None:
        raise AssertionError("a training ends with a model")
    artifact.save(
        directory / ARTIFACT,
        family=family_of(model),
        model=model,
        tokenizer=tokenizer,
        # Of every side: what repeats a held-out post is no new sentence either.
        corpus_index=CorpusIndex.of(chain(splits.train, splits.valid, splits.test)),
        config=_config(recipe, request),
        held_out=tokenizer.encode_posts(splits.valid),
    )
    results: list[Event] = list(_evaluations(model, tokenizer, splits, champion=champion, seed=request.seed))
    results.append(events.Finished(artifact=ARTIFACT, parameters=model.parameters))
    _write_whole(directory / RESULTS, "".join(events.to_line(event) + "\n" for event in results))
    shutil.rmtree(directory / CHECKPOINT, ignore_errors=True)
    yield from results


def _tokenizer(recipe: Preset, splits: Splits) -> Tokenizer:
    return learn_tokenizer(recipe.text.tokenizer, splits.train, vocabulary_size=recipe.text.vocabulary_size)


def _told_before(path: Path) -> list[Event]:
    """The results of a training that is done. Raises ConfigError."""
    try:
        told = [events.from_line(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error}). Remove it to train again.") from error
    if not told or not isinstance(told[-1], events.Finished):
        raise ConfigError(f"{path} breaks off. Remove it to train again.")
    return told


def _write_whole(path: Path, content: str) -> None:
    """The results are there completely or not at all: a child may be killed between two bytes."""
    arriving = path.with_name(f".{path.name}.arriving")
    arriving.write_text(content)
    arriving.replace(path)


def _splits(directory: Path) -> Splits:
    """Fixed splits as they are, else the raw posts cleaned and split by hash."""
    fixed = {name: _file(directory, name) for name in ("train", "valid", "test")}
    if all(fixed.values()):
        posts = {name: tuple(post for post in read_posts(path) if post) for name, path in fixed.items() if path}
        for name, found in posts.items():
            if not found:
                raise CorpusTooSmall(f"The {name} split is empty.")
        return Splits(**posts)
    raw = _file(directory, "posts")
    if raw is None:
        raise ConfigError(f"{directory} holds neither posts.jsonl nor train, valid and test.")
    return split_posts(clean(post) for post in read_posts(raw) if not is_repost(post))


def _file(directory: Path, stem: str) -> Path | None:
    return next((path for suffix in SUFFIXES if (path := directory / f"{stem}{suffix}").exists()), None)


def _train(
    recipe: Preset,
    request: Request,
    splits: Splits,
    tokenizer: Tokenizer,
    *,
    base: Artifact | None,
    directory: Path,
    stop: Callable[[], bool],
) -> Iterator[Event | StoredModel]:
    """Events, then the model."""
    train = tokenizer.encode_posts(splits.train)
    valid = tokenizer.encode_posts(splits.valid)
    started = _started(splits, tokens={"train": len(train), "valid": len(valid)}, tokenizer=tokenizer)
    if not isinstance(recipe.model, RecurrentRecipe):
        if base is not None:
            raise ConfigError(f"Preset {recipe.name} counts n-grams, which go on from no base model. Leave base out.")
        counted = _count(recipe.model, train, tokenizer)
        yield started(counted.parameters)
        yield _completed(recipe, counted, train=train, valid=valid, tokenizer=tokenizer)
        return
    # Imported here: torch takes a second and more to import, and the n-gram models do without.
    from ml.models.recurrent import RecurrentNetwork  # noqa: PLC0415
    from ml.training.loop import Corpus, Loop, seed_all  # noqa: PLC0415
    from ml.training.precision import compute_dtype  # noqa: PLC0415

    if recipe.training is None:
        raise AssertionError("a recurrent preset says how it is trained")
    seed_all(request.seed)
    dtype = compute_dtype(recipe.training.precision)
    if base is None:
        network = RecurrentNetwork(
            recipe.model, vocabulary_size=tokenizer.vocabulary_size, dropout=recipe.dropout, dtype=dtype
        )
        training = recipe.training
    else:
        network = RecurrentNetwork.of(recurrent_of(base.model), dropout=recipe.dropout, dtype=dtype)
        training = replace(recipe.training, learning_rate=recipe.training.tuning_rate)
    yield started(sum(weight.numel() for weight in network.parameters()))
    yield from Loop(
        network,
        Corpus(train=train, valid=valid, eos=tokenizer.eos),
        recipe=training,
        epochs=request.epochs,
        minutes=request.minutes,
        seed=request.seed,
        directory=directory / CHECKPOINT,
        stop=stop,
    ).run()
    recurrent = RecurrentLanguageModel(
        network.arrays(), cell=network.recipe.cell, eos=tokenizer.eos, context=network.recipe.context
    )
    yield _completed(recipe, recurrent, train=train, valid=valid, tokenizer=tokenizer)


def _count(
    recipe: KneserNeyRecipe | MaximumLikelihoodRecipe, train: TokenArray, tokenizer: Tokenizer
) -> KneserNey | MaximumLikelihood:
    family = KneserNey if isinstance(recipe, KneserNeyRecipe) else MaximumLikelihood
    return family.fit(train, order=recipe.order, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)


def _completed(
    recipe: Preset, model: StoredModel, *, train: TokenArray, valid: TokenArray, tokenizer: Tokenizer
) -> StoredModel:
    """What was trained or counted, with what the recipe puts beside and around it, fitted on the validation posts."""
    cache = None if recipe.cache is None else recipe.cache.kind
    ngrams = None if recipe.ngram is None else _count(recipe.ngram, train, tokenizer)
    if isinstance(model, RecurrentLanguageModel):
        model = with_best_temperature(model, valid, beside=[] if ngrams is None else [ngrams.score(valid)])
        if cache == "continuous":
            model = ContinuousCache.fit(model, valid)
    if ngrams is not None:
        model = Mixture.fit({"recurrent": model, "kneser-ney": ngrams}, valid)
    if cache == "unigram":
        model = UnigramCache.fit(model, valid, eos=tokenizer.eos)
    return model


def _started(splits: Splits, *, tokens: dict[str, int], tokenizer: Tokenizer) -> Callable[[int], events.Started]:
    posts = {"train": len(splits.train), "valid": len(splits.valid), "test": len(splits.test)}
    return lambda parameters: events.Started(
        posts=posts, tokens=tokens, vocabulary_size=tokenizer.vocabulary_size, parameters=parameters
    )


def _evaluations(
    model: LanguageModel, tokenizer: Tokenizer, splits: Splits, *, champion: Artifact | None, seed: int
) -> Iterator[events.Evaluated]:
    """The candidate on all three splits (of train as many posts as validation has), the champion on validation."""
    seen = list(splits.train)
    random.Random(seed).shuffle(seen)  # noqa: S311  a sample of posts, no secret
    tasks = [
        ("candidate", "train", model, tokenizer, seen[: len(splits.valid)]),
        ("candidate", "valid", model, tokenizer, splits.valid),
        ("candidate", "test", model, tokenizer, splits.test),
    ]
    if champion is not None:
        tasks.append(("champion", "valid", champion.model, champion.tokenizer, splits.valid))
    # In turn: threads of ours would only fight with those of the matrix products.
    for task in tasks:
        yield _evaluated(*task)


def _evaluated(who: str, split: str, model: LanguageModel, tokenizer: Tokenizer, posts: Any) -> events.Evaluated:
    score = evaluate(model, tokenizer, posts)
    return events.Evaluated(
        model=who,
        split=split,
        nats=score.nats,
        tokens=score.tokens,
        bytes=score.bytes,
        perplexity=score.perplexity,
        bits_per_byte=score.bits_per_byte,
    )


def _config(recipe: Preset, request: Request) -> dict[str, object]:
    """What the artifact says of its making."""
    try:
        code = version("mynah")
    except PackageNotFoundError:
        code = "unknown"
    return {
        "preset": recipe.name,
        "recipe": asdict(recipe),
        "seed": request.seed,
        "base": request.base is not None,
        "minutes": request.minutes,
        "epochs": request.epochs,
        "code_version": code,
    }
