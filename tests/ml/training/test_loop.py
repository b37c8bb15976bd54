"""The training loop: it learns, stops when it should, and goes on where it was cut as if nothing had happened."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ml.errors import Interrupted, TrainingDiverged
from ml.models.recurrent import RecurrentNetwork
from ml.preset import CELLS, DropoutRecipe, RecurrentRecipe, TrainingRecipe
from ml.training import checkpoint
from ml.training.batches import post_batches
from ml.training.events import Epoch, Progress
from ml.training.loop import Corpus, Loop, seed_all

V, EOS = 8, 7
RECIPE = TrainingRecipe(
    columns=4, window=5, learning_rate=0.02, tuning_rate=0.01, weight_decay=0.01, clip=1.0, epochs=3, patience=3
)


def counting(posts: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Posts that count up from a random number: after n comes n+1."""
    random = np.random.default_rng(posts)
    return np.concatenate([[*range(random.integers(4), 7), EOS] for _ in range(posts)]).astype(np.int64)


CORPUS = Corpus(train=counting(60), valid=counting(10), eos=EOS)


def network(*, cell: str = "lstm", context: str = "post", dtype: torch.dtype = torch.float32) -> RecurrentNetwork:
    seed_all(1)
    recipe = RecurrentRecipe(cell=cell, embedding_size=6, hidden_size=9, layers=1, tied=True, context=context)
    dropout = DropoutRecipe(embedding=0.05, input=0.1, output=0.1, weight=0.1 if cell in {"lstm", "elman"} else 0.0)
    return RecurrentNetwork(recipe, vocabulary_size=V, dropout=dropout, dtype=dtype)


def loop_of(
    trained: RecurrentNetwork,
    directory: Path,
    *,
    recipe: TrainingRecipe = RECIPE,
    corpus: Corpus = CORPUS,
    minutes: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.monotonic,
) -> Loop:
    return Loop(
        trained,
        corpus,
        recipe=recipe,
        epochs=None,
        minutes=minutes,
        seed=1,
        directory=directory,
        stop=stop,
        clock=clock,
    )


def weights(trained: RecurrentNetwork) -> Mapping[str, Tensor]:
    return {name: weight.clone() for name, weight in trained.state_dict().items()}


def stop_at(step: int) -> Callable[[], bool]:
    """Asks to stop at the n-th look, which comes once a step."""
    looks: Iterator[int] = iter(range(1, 1_000_000))
    return lambda: next(looks) >= step


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], atol=0, rtol=0)


def epochs_of(happened: list[Progress | Epoch]) -> list[Epoch]:
    return [event for event in happened if isinstance(event, Epoch)]


@pytest.mark.parametrize("cell", CELLS)
def test_a_network_learns_to_count(cell: str, tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=20, learning_rate=0.03, patience=20)
    told = epochs_of(list(loop_of(network(cell=cell), tmp_path, recipe=recipe).run()))
    assert [epoch.epoch for epoch in told] == list(range(1, 21))
    assert told[0].valid_perplexity > 3
    assert told[-1].valid_perplexity < 1.6  # one token in five is free to choose: where a post begins


@dataclass(frozen=True)
class Way:
    """A way to train, all of which have to go on exactly as if they had not been cut."""

    context: str = "post"
    dtype: torch.dtype = torch.float32
    recipe: TrainingRecipe = RECIPE
    minutes: float | None = None

    def loop(self, trained: RecurrentNetwork, directory: Path, *, stop: Callable[[], bool] = lambda: False) -> Loop:
        # A clock that says a tenth of a second more each time it is asked.
        clock = partial(next, (0.1 * tick for tick in itertools.count()))
        return loop_of(trained, directory, recipe=self.recipe, minutes=self.minutes, stop=stop, clock=clock)

    def network(self) -> RecurrentNetwork:
        return network(context=self.context, dtype=self.dtype)


STREAM = replace(RECIPE, random_windows=True, window=6, activation=1.0, temporal=1.0)
WAYS = {
    "posts": Way(),
    "a stream in random windows with penalties": Way(context="stream", recipe=STREAM),
    "bfloat16": Way(dtype=torch.bfloat16),
    "minutes": Way(recipe=replace(RECIPE, epochs=9), minutes=0.2),
}


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Mapping[str, Tensor]]:
    """The weights of trainings that nothing cut."""
    found = {}
    for name, way in WAYS.items():
        trained = way.network()
        list(way.loop(trained, tmp_path_factory.mktemp("whole")).run())
        found[name] = weights(trained)
    return found


def steps_of_a_pass() -> int:
    return len(post_batches(CORPUS.train, eos=EOS, columns=RECIPE.columns, window=RECIPE.window))


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize(
    "step",
    [
        pytest.param(1, id="after the first step"),
        pytest.param(steps_of_a_pass() - 1, id="before the end of a pass"),
        pytest.param(steps_of_a_pass(), id="at the end of a pass, before its validation"),
        pytest.param(2 * steps_of_a_pass() + 3, id="in a later pass"),
        pytest.param(3 * steps_of_a_pass(), id="after the last step"),
    ],
)
def test_a_training_cut_in_two_equals_one_that_was_not(
    name: str, step: int, tmp_path: Path, wholes: dict[str, Mapping[str, Tensor]]
) -> None:
    way = WAYS[name]
    with suppress(Interrupted):  # some ways are over before the last of these steps
        list(way.loop(way.network(), tmp_path, stop=stop_at(step)).run())
    torch.manual_seed(99)  # what another process would have drawn meanwhile
    resumed = way.network()
    list(way.loop(resumed, tmp_path).run())
    assert_same(wholes[name], weights(resumed))


def test_minutes_are_used_and_not_exceeded(tmp_path: Path) -> None:
    way = WAYS["minutes"]
    list(way.loop(way.network(), tmp_path).run())
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert way.minutes is not None
    assert 0.9 * way.minutes * 60 < found.position.elapsed_seconds < 1.05 * way.minutes * 60
    assert found.position.step < 9 * steps_of_a_pass()


def test_a_training_that_is_over_is_not_trained_further(
    tmp_path: Path, wholes: dict[str, Mapping[str, Tensor]]
) -> None:
    list(loop_of(network(), tmp_path).run())
    again = network()
    assert list(loop_of(again, tmp_path).run()) == []
    assert_same(wholes["posts"], weights(again))


def test_the_plan_of_the_first_run_holds_for_the_second(tmp_path: Path) -> None:
    recipe = replace(RECIPE, epochs=5)
    with pytest.raises(Interrupted):
        list(loop_of(network(), tmp_path, recipe=recipe, minutes=1000, stop=stop_at(20)).run())
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found.position.total_steps == 5 * steps_of_a_pass()
    # On a slower machine half the minutes would now plan fewer steps; the plan was made.
    list(loop_of(network(), tmp_path, recipe=recipe, minutes=500).run())
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert found.position.step == 5 * steps_of_a_pass()


def test_minutes_that_are_over_end_the_training_with_a_validated_network(tmp_path: Path) -> None:
    told = epochs_of(list(loop_of(network(), tmp_path, recipe=replace(RECIPE, epochs=50), minutes=1e-9).run()))
    assert len(told) == 1


def test_it_stops_when_validation_no_longer_gets_better_and_keeps_the_best(tmp_path: Path) -> None:
    # What is learnt from posts that count up is ever more wrong about posts that count down.
    down = np.concatenate([[6, 5, 4, 3, 2, 1, 0, EOS]] * 10).astype(np.int64)
    recipe = replace(RECIPE, epochs=40, patience=2)
    trained = network()
    told = epochs_of(
        list(loop_of(trained, tmp_path, recipe=recipe, corpus=Corpus(train=CORPUS.train, valid=down, eos=EOS)).run())
    )
    perplexities = [epoch.valid_perplexity for epoch in told]
    assert len(told) < 40
    assert perplexities.index(min(perplexities)) == len(told) - 1 - 2
    found = checkpoint.read(tmp_path)
    assert found is not None
    assert_same({f"best.{name}": weight for name, weight in weights(trained).items()}, found.tensors)


def test_a_loss_that_is_no_number_ends_the_training(tmp_path: Path) -> None:
    trained = network()
    with torch.no_grad():
        trained.output_bias[0] = float("nan")
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        list(loop_of(trained, tmp_path).run())


def test_a_checkpoint_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert checkpoint.read(tmp_path) is None
    (tmp_path / checkpoint.FILE_NAME).write_bytes(b"cut short")
    assert checkpoint.read(tmp_path) is None


def test_progress_never_reaches_beyond_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml.training.loop.PROGRESS_SECONDS", -1.0)
    told = [event for event in loop_of(network(), tmp_path).run() if isinstance(event, Progress)]
    assert [event.progress for event in told] == sorted(event.progress for event in told)
    assert 0 < told[0].progress < told[-1].progress == 1
    assert told[-1].remaining_seconds == 0
