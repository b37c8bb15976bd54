"""The only training loop: truncated back-propagation through time, as a generator of Progress and Epoch."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import numpy as np
import torch
from torch import Tensor

from ml.errors import Interrupted, TrainingDiverged
from ml.language_model import TokenArray
from ml.models.recurrent import NetworkState, RecurrentNetwork, detached, flattened, unflattened
from ml.preset import TrainingRecipe
from ml.regularization.activation_regularization import activation_penalty, temporal_penalty
from ml.training import checkpoint
from ml.training.batches import PADDING, Batch, fitting_columns, post_batches, stream_batches
from ml.training.budget import REPLAN_STEPS, WARM_UP_STEPS, Budget
from ml.training.checkpoint import Checkpoint, Position
from ml.training.events import Epoch, Progress
from ml.training.losses import softmax_cross_entropy
from ml.training.optimizers import adamw, one_cycle

PROGRESS_SECONDS = 1.0
CHECKPOINT_SECONDS = 20.0
MOST_NATS = 700.0  # a token; the perplexity of more is no float
VALIDATED_SIDE_BY_SIDE = 16


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._corpus = corpus
        self._recipe = recipe
        self._seed = seed
        self._directory = directory
        self._stop = stop
        self._clock = clock
        self._columns = fitting_columns(len(corpus.train), columns=recipe.columns, window=recipe.window)
        self._budget = Budget(
            steps_an_epoch=len(self._batches(epoch=1)), epochs=epochs or recipe.epochs, minutes=minutes
        )
        # Minutes are left out: on a slower machine somebody may give it more.
        self._training = checkpoint.fingerprint(
            network.recipe,
            network.dropout,
            network.vocabulary_size,
            recipe,
            epochs,
            seed,
            corpus.eos,
            corpus.train,
            corpus.valid,
            *(weight.detach().numpy() for weight in network.parameters()),  # of chance by the seed, or of a base model
        )
        self._optimizer = adamw(network, recipe)
        self._position = Position()
        self._best: Mapping[str, Tensor] = {}
        self._state: NetworkState = network.initial_state(self._columns)
        self._step_seconds: list[float] = []
        self._step_tokens: list[int] = []

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
        between_passes = position.batch == 0
        return between_passes and (self._is_planned_end() or position.stale >= self._recipe.patience)

    def _is_planned_end(self) -> bool:
        position = self._position
        if position.epoch > self._budget.epochs:
            return True
        timed = self._budget.minutes is not None
        return timed and position.total_steps is not None and position.step >= position.total_steps

    def _batches(self, *, epoch: int) -> list[Batch]:
        """One pass over the training posts, in an order that seed and epoch decide."""
        random = np.random.default_rng([self._seed, epoch])
        shape = {"eos": self._corpus.eos, "columns": self._columns, "window": self._recipe.window}
        if self._network.recipe.context == "post":
            return post_batches(self._corpus.train, **shape, random=random)
        return stream_batches(self._corpus.train, **shape, random=random if self._recipe.random_windows else None)

    def _epoch(self) -> Iterator[Progress | Epoch]:
        position = self._position
        self._network.train()
        told_at = saved_at = self._clock()
        for batch in self._batches(epoch=position.epoch)[position.batch :]:
            if self._is_planned_end():
                break
            began_at = self._clock()
            tokens = self._step(batch)
            self._measure(self._clock() - began_at, tokens=tokens)
            if self._stop():
                self._save()
                raise Interrupted
            if self._clock() - told_at > PROGRESS_SECONDS:
                told_at = self._clock()
                yield self._progress()
            if self._clock() - saved_at > CHECKPOINT_SECONDS:
                saved_at = self._clock()
                self._save()
        yield self._end_of_epoch()
        self._save()

    def _step(self, batch: Batch) -> int:
        """Read one batch and learn from it; returns how many tokens it held."""
        position = self._position
        self._set_rate(len(batch.inputs))
        columns = batch.inputs.shape[1]
        before = self._network.initial_state(columns) if batch.begins else detached(self._state)
        loss, penalties, self._state, counted = self._loss(batch, before)
        self._optimizer.zero_grad(set_to_none=True)
        (loss + penalties).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._recipe.clip)
        nats = loss.item()
        if not math.isfinite(nats):
            raise _diverged(position.step)
        self._optimizer.step()
        position.nats += nats * counted
        position.tokens += counted
        position.step += 1
        position.batch += 1
        return counted

    def _set_rate(self, steps: int) -> None:
        """The learning rate of the next update, which reads this many steps."""
        # Until the plan is made the rate stays where the cycle begins.
        total_steps = self._position.total_steps
        at = 0 if total_steps is None else self._position.step
        rate = one_cycle(at, total_steps=total_steps or 1_000_000, peak=self._recipe.learning_rate)
        if self._recipe.random_windows:
            rate *= steps / self._recipe.window  # a short window should not weigh as much as a long one
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _loss(self, batch: Batch, state: NetworkState) -> tuple[Tensor, Tensor | float, NetworkState, int]:
        """Nats a token, penalties on the outputs, the state after the batch, and the number of tokens."""
        network, recipe = self._network, self._recipe
        layers, after = network.layer_outputs(torch.from_numpy(batch.inputs), state)
        outputs = network.dropped_output(layers[-1])
        targets = torch.from_numpy(batch.targets).flatten()
        places = torch.nonzero(targets != PADDING)[:, 0]
        loss = softmax_cross_entropy(
            network.projected(outputs.flatten(0, 1).index_select(0, places)),
            network.output_weight().to(network.dtype),
            network.output_bias.to(network.dtype),
            targets[places],
        )
        penalties: Tensor | float = 0.0
        if recipe.activation:
            penalties += activation_penalty(outputs, recipe.activation)
        if recipe.temporal:
            penalties += temporal_penalty(layers[-1], recipe.temporal)
        return loss, penalties, after, len(places)

    def _measure(self, seconds: float, *, tokens: int) -> None:
        """Count the time of a step, and plan by it when it is time to."""
        position = self._position
        position.elapsed_seconds += seconds
        position.epoch_seconds += seconds
        self._step_seconds = [*self._step_seconds[1 - REPLAN_STEPS :], seconds]
        self._step_tokens = [*self._step_tokens[1 - REPLAN_STEPS :], tokens]
        if self._budget.is_time_to_plan(position.step):
            # The first steps are slower than the rest: kernels are chosen, memory is fetched.
            measured = self._step_seconds[WARM_UP_STEPS:] if position.step < REPLAN_STEPS else self._step_seconds
            position.total_steps = self._budget.planned_steps(
                steps_done=position.step,
                elapsed_seconds=position.elapsed_seconds,
                seconds_a_step=mean(measured),
            )
        if self._budget.is_over(elapsed_seconds=position.elapsed_seconds):
            position.total_steps = position.step

    def _progress(self) -> Progress:
        position = self._position
        seconds_a_step = mean(self._step_seconds)
        total_steps = position.total_steps or self._budget.most_steps
        return Progress(
            progress=min(1.0, position.step / total_steps),
            epoch=position.epoch,
            tokens_per_second=sum(self._step_tokens) / sum(self._step_seconds),
            remaining_seconds=max(0, total_steps - position.step) * seconds_a_step,
        )

    def _end_of_epoch(self) -> Epoch:
        """Validate, keep the best weights, and move to the next pass."""
        position = self._position
        began_at = self._clock()
        valid_nats = self._validate()
        if not max(valid_nats, position.nats / position.tokens) < MOST_NATS:
            raise _diverged(position.step)
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
            batch=0,
            nats=0.0,
            tokens=0,
            epoch_seconds=0.0,
            elapsed_seconds=position.elapsed_seconds + self._clock() - began_at,
        )
        return told

    @torch.no_grad()
    def _validate(self) -> float:
        """Nats a token of the validation posts; a stream is read in columns, which is within a hair of one stream's."""
        network, recipe, valid = self._network, self._recipe, self._corpus.valid
        network.eval()
        eos, nats, state = self._corpus.eos, 0.0, network.initial_state(1)
        if network.recipe.context == "post":
            batches = post_batches(valid, eos=eos, columns=recipe.columns, window=recipe.window)
        else:
            columns = min(VALIDATED_SIDE_BY_SIDE, len(valid))
            batches = stream_batches(valid, eos=eos, columns=columns, window=recipe.window)
        for batch in batches:
            before = network.initial_state(batch.inputs.shape[1]) if batch.begins else state
            loss, _, state, counted = self._loss(batch, before)
            nats += loss.item() * counted
        network.train()
        return nats / len(valid)

    def _save(self) -> None:
        tensors = {f"network.{name}": weight for name, weight in self._network.state_dict().items()}
        tensors |= {f"best.{name}": weight for name, weight in self._best.items()}
        tensors |= {f"state.{number}": part for number, part in enumerate(flattened(self._state))}
        tensors |= checkpoint.optimizer_tensors(self._optimizer)
        tensors["random"] = torch.get_rng_state()
        checkpoint.write(self._directory, Checkpoint(training=self._training, position=self._position, tensors=tensors))

    def _restore(self) -> None:
        found = checkpoint.read(self._directory)
        if found is None or found.training != self._training:
            return
        self._position = found.position
        self._network.load_state_dict(_named(found.tensors, "network."))
        self._best = _named(found.tensors, "best.")
        parts = [found.tensors[f"state.{number}"] for number in range(len(flattened(self._state)))]
        self._state = unflattened(parts, like=self._state)
        checkpoint.restore_optimizer(self._optimizer, found.tensors)
        torch.set_rng_state(found.tensors["random"])


def _diverged(steps: int) -> TrainingDiverged:
    return TrainingDiverged(
        f"The loss is no longer a number after {steps} steps. Train again with another seed, or with a smaller "
        "training.learning_rate."
    )


def _named(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
