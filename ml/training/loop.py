"""The only training loop: truncated back-propagation through time, as a generator of Progress and Epoch."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ml.errors import Interrupted, TrainingDiverged
from ml.language_model import TokenArray
from ml.models.recurrent import NetworkState, RecurrentNetwork, detached, flattened, unflattened
from ml.preset import TrainingRecipe
from ml.training import checkpoint
from ml.training.batches import PADDING, fitting_columns, in_columns, shuffled
from ml.training.budget import REPLAN_STEPS, Budget
from ml.training.checkpoint import Checkpoint, Position
from ml.training.events import Epoch, Progress
from ml.training.optimizers import adamw, one_cycle

PROGRESS_SECONDS = 1.0
CHECKPOINT_SECONDS = 20.0
RESET_SHARE = 0.03


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Streams of posts, each closed by `eos`. train, valid: [T] int64."""

    train: TokenArray
    valid: TokenArray
    eos: int


def seed_all(seed: int) -> None:
    """Fix the random numbers of weights and dropout."""
    torch.manual_seed(seed)


class Loop:
    """One training of one network. `run` goes on from the checkpoint in `directory`, if there is one."""

    def __init__(
        self,
        network: RecurrentNetwork,
        corpus: Corpus,
        *,
        recipe: TrainingRecipe,
        epochs: int | None,
        minutes: float | None,
        seed: int,
        directory: Path,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._network = network
        self._corpus = corpus
        self._recipe = recipe
        self._seed = seed
        self._directory = directory
        self._stop = stop
        self._columns = fitting_columns(len(corpus.train), columns=recipe.columns, window=recipe.window)
        rows = math.ceil(len(corpus.train) / self._columns)
        self._budget = Budget(
            steps_an_epoch=math.ceil(rows / recipe.window), epochs=epochs or recipe.epochs, minutes=minutes
        )
        self._optimizer = adamw(network, recipe)
        self._position = Position()
        self._best: Mapping[str, Tensor] = {}
        self._state: NetworkState = network.initial_state(self._columns)
        self._step_seconds: list[float] = []

    def run(self) -> Iterator[Progress | Epoch]:
        """Train to the end of the plan; afterwards the network has the weights that were best on the validation posts.

        Raises TrainingDiverged, Interrupted.
        """
        seed_all(self._seed)
        torch.set_flush_denormal(True)
        self._restore()
        if not self._budget.needs_measuring:
            self._position.total_steps = self._budget.most_steps
        while not self._is_over():
            yield from self._epoch()
        self._network.load_state_dict(dict(self._best))

    def _is_over(self) -> bool:
        position = self._position
        # A pass that was cut after its last step still lacks its validation.
        between_passes = position.window == 0
        return between_passes and (self._is_planned_end() or position.stale >= self._recipe.patience)

    def _is_planned_end(self) -> bool:
        total_steps = self._position.total_steps
        return total_steps is not None and self._position.step >= total_steps

    def _epoch(self) -> Iterator[Progress | Epoch]:
        position = self._position
        eos = self._corpus.eos
        stream = shuffled(self._corpus.train, eos=eos, seed=self._seed, epoch=position.epoch)
        columns = in_columns(stream, columns=self._columns, eos=eos)
        if position.window == 0:
            self._state = self._network.initial_state(self._columns)
        self._network.train()
        told_at = saved_at = time.monotonic()
        for inputs, targets in columns.windows(self._recipe.window, start=position.window):
            if self._is_planned_end():
                break
            began_at = time.monotonic()
            self._step(torch.from_numpy(inputs), torch.from_numpy(targets))
            self._measure(time.monotonic() - began_at)
            if self._stop():
                self._save()
                raise Interrupted
            if time.monotonic() - told_at > PROGRESS_SECONDS:
                told_at = time.monotonic()
                yield self._progress()
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                saved_at = time.monotonic()
                self._save()
        yield self._end_of_epoch()
        self._save()

    def _step(self, inputs: Tensor, targets: Tensor) -> None:
        """One window [T, B]: forward, back through its T steps, one update."""
        position = self._position
        # Until the plan is made the rate stays where the cycle begins.
        total_steps = position.total_steps
        at = 0 if total_steps is None else position.step
        rate = one_cycle(at, total_steps=total_steps or 1_000_000, peak=self._recipe.learning_rate)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        logits, after = self._network(inputs, sometimes_reset(detached(self._state)))
        self._state = after
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip)
        nats = loss.item()
        if not math.isfinite(nats):
            raise TrainingDiverged(
                f"The loss is no longer a number after {position.step} steps. Train again with another seed, or with a "
                "smaller training.learning_rate."
            )
        self._optimizer.step()
        counted = int((targets != PADDING).sum())
        position.nats += nats * counted
        position.tokens += counted
        position.step += 1
        position.window += 1

    def _measure(self, seconds: float) -> None:
        """Count the time of a step, and plan by it when it is time to."""
        position = self._position
        position.elapsed_seconds += seconds
        position.epoch_seconds += seconds
        self._step_seconds = [*self._step_seconds[1 - REPLAN_STEPS :], seconds]
        if self._budget.is_time_to_plan(position.step, elapsed_seconds=position.elapsed_seconds):
            position.total_steps = self._budget.planned_steps(
                steps_done=position.step,
                elapsed_seconds=position.elapsed_seconds,
                seconds_a_step=median(self._step_seconds[-REPLAN_STEPS:]),
            )
        if self._budget.is_over(elapsed_seconds=position.elapsed_seconds):
            position.total_steps = position.step

    def _progress(self) -> Progress:
        position = self._position
        seconds_a_step = sum(self._step_seconds) / len(self._step_seconds)
        total_steps = position.total_steps or self._budget.most_steps
        return Progress(
            progress=position.step / total_steps,
            epoch=position.epoch,
            tokens_per_second=self._recipe.window * self._columns / seconds_a_step,
            remaining_seconds=(total_steps - position.step) * seconds_a_step,
        )

    def _end_of_epoch(self) -> Epoch:
        """Validate, keep the best weights, and move to the next pass."""
        position = self._position
        began_at = time.monotonic()
        valid_nats = self._validate()
        if position.best_valid_nats is None or valid_nats < position.best_valid_nats:
            position.best_valid_nats = valid_nats
            position.stale = 0
            self._best = {name: weight.clone() for name, weight in self._network.state_dict().items()}
        else:
            position.stale += 1
        told = Epoch(
            epoch=position.epoch,
            train_perplexity=math.exp(position.nats / position.tokens),
            valid_perplexity=math.exp(valid_nats),
            seconds=position.epoch_seconds,
            tokens_per_second=position.tokens / max(position.epoch_seconds, 1e-9),
        )
        self._position = replace(
            position,
            epoch=position.epoch + 1,
            window=0,
            nats=0.0,
            tokens=0,
            epoch_seconds=0.0,
            elapsed_seconds=position.elapsed_seconds + time.monotonic() - began_at,
        )
        return told

    @torch.no_grad()
    def _validate(self) -> float:
        """Nats a token of the validation posts, read in columns: quick, and within a hair of one stream's."""
        self._network.eval()
        eos = self._corpus.eos
        columns = in_columns(self._corpus.valid, columns=min(16, len(self._corpus.valid)), eos=eos)
        state = self._network.initial_state(columns.inputs.shape[1])
        nats = 0.0
        for inputs, targets in columns.windows(self._recipe.window):
            logits, state = self._network(torch.from_numpy(inputs), state)
            wanted = torch.from_numpy(targets).flatten()
            nats += cross_entropy(logits.flatten(0, 1), wanted, ignore_index=PADDING, reduction="sum").item()
        self._network.train()
        return nats / len(self._corpus.valid)

    def _save(self) -> None:
        tensors = {f"network.{name}": weight for name, weight in self._network.state_dict().items()}
        tensors |= {f"best.{name}": weight for name, weight in self._best.items()}
        tensors |= {f"state.{number}": part for number, part in enumerate(flattened(self._state))}
        tensors |= checkpoint.optimizer_tensors(self._optimizer)
        tensors["random"] = torch.get_rng_state()
        checkpoint.write(self._directory, Checkpoint(position=self._position, tensors=tensors))

    def _restore(self) -> None:
        found = checkpoint.read(self._directory)
        if found is None:
            return
        self._position = found.position
        self._network.load_state_dict(_named(found.tensors, "network."))
        self._best = _named(found.tensors, "best.")
        parts = [found.tensors[f"state.{number}"] for number in range(len(flattened(self._state)))]
        self._state = unflattened(parts, like=self._state)
        checkpoint.restore_optimizer(self._optimizer, found.tensors)
        torch.set_rng_state(found.tensors["random"])


def sometimes_reset(state: NetworkState) -> NetworkState:
    """Zero the state of a few columns at random.

    A sentence is sampled from the initial state; a network that saw it only once an epoch would not know what to say.
    """
    columns = state[0][0].shape[0]
    kept = (torch.rand(columns, 1) >= RESET_SHARE).float()
    return tuple(tuple(part * kept for part in cell_state) for cell_state in state)


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
