"""A character-level recurrent generator as bot makers use: the default recipe of textgenrnn 2.0, in PyTorch.

A character is predicted from the 40 before it in the post, each time afresh: embedding (100) → two LSTM layers (128) →
embeddings and both layers side by side, averaged over the 40 places with learnt attention → softmax. Adam, batches of
128, the rate falling from 0.004 to 0 in a line. Every post begins and ends with the same mark.

What differs: the rate falls with the minutes and not with 50 epochs, which would take days. It starts from random
weights, not from those that come with the package (they were learnt from other texts). And a character that training
has seen once or never costs an escape and one of 1,114,112 code points; textgenrnn leaves it out of its count.

Source: textgenrnn (Woolf 2017-2020), textgenrnn.py, model.py, AttentionWeightedAverage.py.
"""

import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ml.bench.row import Row, Task, score_of
from ml.language_model import FloatArray, TokenArray

WINDOW: Final = 40
EMBEDDING: Final = 100
HIDDEN: Final = 128
BATCH: Final = 128
LEARNING_RATE: Final = 4e-3
SCORED_BATCH: Final = 1024
NOTHING, RARE, MARK = 0, 1, 2
CODE_POINTS: Final = 0x110000


@dataclass(frozen=True)
class Windows:
    """The posts of a split as places to predict. ids: all posts one after the other, each between two marks.

    places: [M] where a character (or the mark at the end) is to be predicted; begins: [M] where its post begins.
    """

    ids: TokenArray
    places: TokenArray
    begins: TokenArray

    @classmethod
    def of(cls, posts: tuple[str, ...], vocabulary: dict[str, int]) -> "Windows":
        """Characters that are not in the vocabulary are RARE."""
        ids: list[int] = []
        places: list[int] = []
        begins: list[int] = []
        for post in posts:
            begin = len(ids)
            ids += [MARK, *(vocabulary.get(character, RARE) for character in post), MARK]
            places += range(begin + 1, len(ids))
            begins += [begin] * (len(ids) - begin - 1)
        return cls(*(np.array(numbers, dtype=np.int64) for numbers in (ids, places, begins)))

    def batch(self, chosen: TokenArray) -> tuple[Tensor, Tensor]:
        """(inputs [B, 40], targets [B]): the 40 characters before each place; NOTHING before the post's first."""
        reach = self.places[chosen][:, np.newaxis] + np.arange(-WINDOW, 0)
        inside = reach >= self.begins[chosen][:, np.newaxis]
        inputs = np.where(inside, self.ids[np.maximum(reach, 0)], NOTHING)
        return torch.from_numpy(inputs), torch.from_numpy(self.ids[self.places[chosen]])


class CharRnn(nn.Module):
    """Logits of the next character. windows: [B, 40] int64 → [B, V]."""

    def __init__(self, *, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, EMBEDDING)
        self.first = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self.second = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        width = EMBEDDING + 2 * HIDDEN
        self.attention = nn.Linear(width, 1, bias=False)
        self.output = nn.Linear(width, vocabulary_size)
        self._start_as_keras_does()

    def _start_as_keras_does(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.05, 0.05)
        nn.init.uniform_(self.attention.weight, -0.05, 0.05)
        nn.init.xavier_uniform_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        for layer in (self.first, self.second):
            (into, within, into_bias, within_bias) = layer.all_weights[0]
            nn.init.xavier_uniform_(into)
            nn.init.orthogonal_(within)
            nn.init.zeros_(within_bias)
            nn.init.zeros_(into_bias)
            nn.init.ones_(into_bias[HIDDEN : 2 * HIDDEN])  # remember at first

    def forward(self, windows: Tensor) -> Tensor:
        embedded = self.embedding(windows)  # [B, 40, E]
        first, _ = self.first(embedded)
        second, _ = self.second(first)
        places = torch.cat([embedded, first, second], dim=2)
        weights = torch.softmax(self.attention(places), dim=1)  # [B, 40, 1]
        logits: Tensor = self.output((weights * places).sum(dim=1))
        return logits


def measure(task: Task) -> Row:
    """Train for the minutes of the task, then score the test posts; its tokens are characters."""
    began_at = time.monotonic()
    torch.manual_seed(task.seed)
    splits = task.corpus.read()
    vocabulary = learn_vocabulary(splits.train)
    network = CharRnn(vocabulary_size=MARK + 1 + len(vocabulary))
    read, fit_seconds = fit(network, Windows.of(splits.train, vocabulary), minutes=task.minutes, seed=task.seed)
    train_seconds = time.monotonic() - began_at
    test = score_of(score(network, Windows.of(splits.test, vocabulary)), splits.test)
    return Row(
        system=task.system,
        parameters=sum(weight.numel() for weight in network.parameters()),
        train_seconds=train_seconds,
        tokens_per_second=read / fit_seconds,
        test_perplexity=test.perplexity,
        bits_per_byte=test.bits_per_byte,
        note="tokens are characters",
    )


def learn_vocabulary(posts: tuple[str, ...]) -> dict[str, int]:
    """Ids of the characters seen at least twice, most frequent first."""
    counts = Counter("".join(posts))
    ranked = sorted((c for c, count in counts.items() if count > 1), key=lambda c: (-counts[c], c))
    return {character: number for number, character in enumerate(ranked, start=MARK + 1)}


def fit(network: CharRnn, windows: Windows, *, minutes: float, seed: int) -> tuple[int, float]:
    """Train until the minutes are over; how many characters were predicted, and in how many seconds."""
    random = np.random.default_rng(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, eps=1e-7)
    network.train()
    read, began_at = 0, time.monotonic()
    while True:
        order = random.permutation(len(windows.places))
        for begin in range(0, len(order), BATCH):
            used = (time.monotonic() - began_at) / (minutes * 60)
            if used >= 1 and read:
                return read, time.monotonic() - began_at
            optimizer.param_groups[0]["lr"] = LEARNING_RATE * max(0.0, 1 - used)
            inputs, targets = windows.batch(order[begin : begin + BATCH])
            optimizer.zero_grad()
            cross_entropy(network(inputs), targets).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            read += len(targets)


@torch.no_grad()
def score(network: CharRnn, windows: Windows) -> FloatArray:
    """Log-probability of every place: [M] float32."""
    network.eval()
    found = []
    for begin in range(0, len(windows.places), SCORED_BATCH):
        inputs, targets = windows.batch(np.arange(begin, min(begin + SCORED_BATCH, len(windows.places))))
        which = (targets == RARE) * math.log(CODE_POINTS)  # the escape says only that it is a rare one
        found.append(-cross_entropy(network(inputs), targets, reduction="none") - which)
    log_probabilities: FloatArray = torch.cat(found).numpy()
    return log_probabilities
