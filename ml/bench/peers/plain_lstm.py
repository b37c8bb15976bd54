"""What anybody writes: nn.Embedding → nn.LSTM → full softmax, Adam, float32, windows of one carried stream.

The sizes (embedding, hidden, layers, tied weights) and the tokenizer are those of the preset that it is compared
with. All else is as in PyTorch's own word language model example: 20 columns, windows of 35, dropout 0.2 on embeddings
and outputs, gradient norm 0.25, weights from ±0.1, and the weights that were best on validation are kept. One change is
in its favour: Adam at the usual rate of 0.001, since plain gradient descent needs more minutes than there are.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ml import preset
from ml.bench.row import Curve, Row, Task, score_of
from ml.errors import ConfigError
from ml.language_model import FloatArray, TokenArray
from ml.preset import RecurrentRecipe
from ml.text.tokenizers import learn_tokenizer

COLUMNS: Final = 20
VALIDATION_COLUMNS: Final = 10
WINDOW: Final = 35
DROPOUT: Final = 0.2
CLIP: Final = 0.25
LEARNING_RATE: Final = 1e-3
SCALE: Final = 0.1
SCORED_WINDOW: Final = 256

State: TypeAlias = tuple[Tensor, Tensor]


class PlainLstm(nn.Module):
    """Logits of the next token. tokens: [T, B] int64 → [T, B, V], and the state after the last."""

    def __init__(self, recipe: RecurrentRecipe, *, vocabulary_size: int) -> None:
        super().__init__()
        E, H = recipe.embedding_size, recipe.hidden_size
        self.embedding = nn.Embedding(vocabulary_size, E)
        self.dropout = nn.Dropout(DROPOUT)
        self.lstm = nn.LSTM(E, H, recipe.layers, dropout=DROPOUT if recipe.layers > 1 else 0.0)
        narrowed = recipe.tied and E != H
        self.projection = nn.Linear(H, E, bias=False) if narrowed else nn.Identity()
        self.output = nn.Linear(E if recipe.tied else H, vocabulary_size)
        nn.init.uniform_(self.embedding.weight, -SCALE, SCALE)
        nn.init.uniform_(self.output.weight, -SCALE, SCALE)
        nn.init.zeros_(self.output.bias)
        if recipe.tied:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, after = self.lstm(self.dropout(self.embedding(tokens)), state)
        return self.output(self.projection(self.dropout(outputs))), after


@dataclass
class Training:
    """What a training did: tokens read and the seconds that its steps took, and validation as it went."""

    tokens: int = 0
    step_seconds: float = 0.0
    curve: Curve = ()


def measure(task: Task) -> Row:
    """Train for the minutes of the task, then score validation and test as one stream each."""
    began_at = time.monotonic()
    torch.manual_seed(task.seed)
    recipe = preset.load(task.preset, task.all_overrides)
    if not isinstance(recipe.model, RecurrentRecipe):
        raise ConfigError(f"Preset {task.preset} has no sizes for a recurrent network.")
    splits = task.corpus.read()
    tokenizer = learn_tokenizer(recipe.text.tokenizer, splits.train, vocabulary_size=recipe.text.vocabulary_size)
    train, valid = tokenizer.encode_posts(splits.train), tokenizer.encode_posts(splits.valid)
    network = PlainLstm(recipe.model, vocabulary_size=tokenizer.vocabulary_size)
    done = fit(network, train, valid, minutes=task.minutes, eos=tokenizer.eos)
    train_seconds = time.monotonic() - began_at
    valid_score = score_of(score(network, valid, eos=tokenizer.eos), splits.valid)
    test_score = score_of(score(network, tokenizer.encode_posts(splits.test), eos=tokenizer.eos), splits.test)
    return Row(
        system=task.system,
        parameters=sum(weight.numel() for weight in network.parameters()),
        train_seconds=train_seconds,
        tokens_per_second=done.tokens / done.step_seconds,
        valid_perplexity=valid_score.perplexity,
        test_perplexity=test_score.perplexity,
        bits_per_byte=test_score.bits_per_byte,
        curve=done.curve,
    )


def fit(network: PlainLstm, train: TokenArray, valid: TokenArray, *, minutes: float, eos: int) -> Training:
    """Train until the minutes are over, one step at least, and validate after each pass; the best weights stay.

    train, valid: [T] int64, posts closed by `eos`.
    """
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    done, lowest = Training(), math.inf
    best = network.state_dict()
    began_at = time.monotonic()
    while not (done.tokens and _is_over(began_at, minutes)):
        _pass(network, optimizer, train, done=done, began_at=began_at, minutes=minutes, eos=eos)
        there_at = time.monotonic()  # when these weights were there: validating them came later
        perplexity = validation_perplexity(network, valid, eos=eos)
        done.curve = (*done.curve, (there_at - began_at, perplexity))
        if perplexity < lowest:
            lowest, best = perplexity, {name: weight.clone() for name, weight in network.state_dict().items()}
    network.load_state_dict(best)
    return done


def _pass(
    network: PlainLstm,
    optimizer: torch.optim.Optimizer,
    train: TokenArray,
    *,
    done: Training,
    began_at: float,
    minutes: float,
    eos: int,
) -> None:
    """One pass over the training stream, or what is left of the minutes."""
    network.train()
    state: State | None = None
    for inputs, targets in windows(train, columns=COLUMNS, window=WINDOW, eos=eos):
        step_began_at = time.monotonic()
        logits, (h, c) = network(inputs, state)
        state = h.detach(), c.detach()
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
        done.tokens += targets.numel()
        done.step_seconds += time.monotonic() - step_began_at
        if _is_over(began_at, minutes):
            return


def _is_over(began_at: float, minutes: float) -> bool:
    return time.monotonic() - began_at >= minutes * 60


def windows(stream: TokenArray, *, columns: int, window: int, eos: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(inputs, targets) of [T, B] from B columns read side by side; what does not fill a row is left out."""
    columns = min(columns, len(stream))
    rows = len(stream) // columns
    read = np.concatenate(([eos], stream[:-1]))
    inputs, targets = (
        torch.from_numpy(tokens[: rows * columns].reshape(columns, rows).T.copy()) for tokens in (read, stream)
    )
    for begin in range(0, rows, window):
        yield inputs[begin : begin + window], targets[begin : begin + window]


@torch.no_grad()
def validation_perplexity(network: PlainLstm, stream: TokenArray, *, eos: int) -> float:
    """Perplexity of the stream in a few columns: quick, and within a hair of one stream's."""
    network.eval()
    nats, tokens, state = 0.0, 0, None
    for inputs, targets in windows(stream, columns=VALIDATION_COLUMNS, window=WINDOW, eos=eos):
        logits, state = network(inputs, state)
        nats += cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        tokens += targets.numel()
    return math.exp(nats / tokens)


@torch.no_grad()
def score(network: PlainLstm, stream: TokenArray, *, eos: int) -> FloatArray:
    """Log-probability of each token of one stream, read after one `<eos>`: [T] int64 → [T] float32."""
    network.eval()
    found, state = [], None
    for inputs, targets in windows(stream, columns=1, window=SCORED_WINDOW, eos=eos):
        logits, state = network(inputs, state)
        found.append(-cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none"))
    log_probabilities: FloatArray = torch.cat(found).numpy()
    return log_probabilities
