"""Markov chains of words, by markovify: what most bots speak with. It has no held-out probabilities to compare."""

import random
import time
from collections.abc import Iterable
from typing import Final

import markovify

from ml.bench.copying import Copies
from ml.bench.row import Row, Task
from ml.sampling.controls import Controls

STATE_SIZE: Final = 2
# It refuses sentences of its own that overlap too much with the corpus, and then says nothing.
ATTEMPTS_A_SENTENCE: Final = 10


def measure(task: Task) -> Row:
    """Count, then speak; its own tests for copying are left on, as they are by default."""
    posts = task.corpus.read().train
    began_at = time.perf_counter()
    chain = chain_of(posts)
    train_seconds = time.perf_counter() - began_at
    random.seed(task.seed)
    began_at = time.perf_counter()
    sentences = speak(chain, n=task.sentences)
    seconds = time.perf_counter() - began_at
    copies = Copies(posts, words=task.copied_words)
    missing = task.sentences - len(sentences)
    return Row(
        system=task.system,
        parameters=sum(len(following) for following in chain.chain.model.values()),
        train_seconds=train_seconds,
        sentences_per_second=len(sentences) / seconds,
        copied_share=copies.copied_share(sentences) if sentences else None,
        verbatim_share=copies.verbatim_share(sentences) if sentences else None,
        note=f"found only {len(sentences)} sentences" if missing else "",
    )


def chain_of(posts: Iterable[str]) -> markovify.NewlineText:
    """The chain that has read these posts, one a line."""
    return markovify.NewlineText("\n".join(" ".join(post.split()) for post in posts), state_size=STATE_SIZE)


def speak(chain: markovify.NewlineText, *, n: int) -> list[str]:
    """n sentences as short as ours, or fewer where it finds none that it does not itself refuse."""
    longest = Controls().max_characters
    sentences: list[str] = []
    for _ in range(n * ATTEMPTS_A_SENTENCE):
        if len(sentences) == n:
            break
        sentence = chain.make_short_sentence(longest)
        if sentence is not None:
            sentences.append(sentence)
    return sentences
