"""Our Kneser-Ney model by itself, in this process: what fitting and scoring take."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from ml import preset
from ml.bench.row import Row, Task, score_of
from ml.errors import ConfigError
from ml.language_model import TokenArray
from ml.models.kneser_ney import KneserNey
from ml.preset import KneserNeyRecipe
from ml.text.splits import Splits
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import learn_tokenizer

# The fastest of so many is what the code takes; the others are what else the machine had to do.
REPEATS: Final = 5


@dataclass(frozen=True)
class Counted:
    """A fitted model with what it was fitted on. fit_seconds: from token ids to the model."""

    model: KneserNey
    tokenizer: Tokenizer
    splits: Splits
    train: TokenArray
    fit_seconds: float

    @classmethod
    def of(cls, task: Task) -> Self:
        """Fit the preset of a task. Raises ConfigError for one that is no n-gram model."""
        recipe = preset.load(task.preset, task.all_overrides)
        if not isinstance(recipe.model, KneserNeyRecipe):
            raise ConfigError(f"Preset {task.preset} is no n-gram model.")
        splits = task.corpus.read()
        tokenizer = learn_tokenizer(recipe.text.tokenizer, splits.train, vocabulary_size=recipe.text.vocabulary_size)
        train = tokenizer.encode_posts(splits.train)
        began_at = time.perf_counter()
        model = KneserNey.fit(
            train, order=recipe.model.order, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
        )
        return cls(model, tokenizer, splits, train, time.perf_counter() - began_at)


def measure(task: Task) -> Row:
    """Fit, and score the test posts."""
    began_at = time.perf_counter()
    counted = Counted.of(task)
    train_seconds = time.perf_counter() - began_at
    model, tokenizer, splits = counted.model, counted.tokenizer, counted.splits
    tokens = tokenizer.encode_posts(splits.test)
    score_seconds = fastest(lambda: model.score(tokens))
    test = score_of(model.score(tokens), splits.test)
    return Row(
        system=task.system,
        parameters=model.parameters,
        train_seconds=train_seconds,
        tokens_per_second=len(counted.train) / train_seconds,
        valid_perplexity=score_of(model.score(tokenizer.encode_posts(splits.valid)), splits.valid).perplexity,
        test_perplexity=test.perplexity,
        bits_per_byte=test.bits_per_byte,
        fit_seconds=counted.fit_seconds,
        score_seconds=score_seconds,
        score_tokens_per_second=len(tokens) / score_seconds,
    )


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some runs."""
    seconds = []
    for _ in range(REPEATS):
        began_at = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_at)
    return min(seconds)
