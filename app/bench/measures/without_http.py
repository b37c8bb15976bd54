"""Sentences without HTTP, each in a process of its own: the naive loop, a Markov chain, our own engine."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Final

from app.bench import request
from app.bench.errors import ToolMissing
from app.bench.load import percentile
from app.bench.row import SENTENCE_TOKENS, Row
from app.bench.stage import SEED, Stage
from ml import artifact
from ml.bench.apart import run_apart
from ml.bench.corpus import Corpus
from ml.sampling.engine import draw_all
from ml.sampling.request import Speech
from ml.serving.loading import load

# One request alone, and as many as the engine steps at once.
ENGINE_N: Final = (1, 64)
MARKOVIFY_N: Final = 50


@dataclass(frozen=True, kw_only=True)
class Said:
    """What was said in a while. call_seconds: of each call, which gives some sentences."""

    sentences: int
    tokens: int
    call_seconds: tuple[float, ...]


def naive(stage: Stage) -> Iterator[Row]:
    """nn.LSTM and multinomial, a token at a time, a sentence at a time."""
    # By name: this side of the wall nobody imports torch.
    measure = import_module("ml.bench.peers.naive_loop").measure
    spoken = run_apart(
        measure,
        stage.artifact,
        seconds=stage.seconds,
        tokens=SENTENCE_TOKENS,
        temperature=request.controls().temperature,
        seed=SEED,
    )
    sentences = len(spoken.sentence_seconds)
    said = Said(sentences=sentences, tokens=sentences * spoken.tokens, call_seconds=spoken.sentence_seconds)
    yield _row("naive", "nn.LSTM, torch.multinomial", said, note="one sentence at a time; the network alone")


def markovify(stage: Stage) -> Iterator[Row]:
    """A Markov chain on the same posts; its sentences are counted in our tokens."""
    said = run_apart(_say_by_markovify, stage.corpus, stage.artifact, seconds=stage.seconds)
    yield _row("markovify", "no HTTP", said)


def engine(stage: Stage) -> Iterator[Row]:
    """ml.sampling with the model as it is served, in one thread."""
    for n in ENGINE_N:
        yield _row("engine", f"no HTTP, n = {n}", run_apart(_say_by_engine, stage.artifact, n=n, seconds=stage.seconds))


def _row(name: str, setting: str, said: Said, note: str = "") -> Row:
    seconds = sum(said.call_seconds)
    return Row(
        name=name,
        setting=setting,
        sentences_per_second=said.sentences / seconds,
        tokens_per_second=said.tokens / seconds,
        p50_ms=percentile(said.call_seconds, 0.5) * 1e3,
        p99_ms=percentile(said.call_seconds, 0.99) * 1e3,
        note=note,
    )


def _say_by_engine(model: Path, *, n: int, seconds: float) -> Said:
    voice, controls, seeds = load(model).voice, request.controls(), count(SEED)

    def speak() -> tuple[int, int]:
        said = draw_all(Speech(voice, controls, n=n, seed=next(seeds)))
        return len(said), sum(sentence.tokens for sentence in said)

    return _repeat(speak, seconds=seconds)


def _say_by_markovify(corpus: Corpus, model: Path, *, seconds: float) -> Said:
    try:
        from ml.bench.peers import markov_chain  # noqa: PLC0415  its package may not be there
    except ModuleNotFoundError as error:
        raise ToolMissing(f"the package {error.name} is missing; `make bench` installs it") from error
    chain = markov_chain.chain_of(corpus.read().train)
    random.seed(SEED)
    texts: list[str] = []

    def speak() -> tuple[int, int]:
        said = markov_chain.speak(chain, n=MARKOVIFY_N)
        texts.extend(said)
        return len(said), 0

    said = _repeat(speak, seconds=seconds)
    tokens = len(artifact.load(model).tokenizer.encode_posts(texts))
    return Said(sentences=said.sentences, tokens=tokens, call_seconds=said.call_seconds)


def _repeat(speak: Callable[[], tuple[int, int]], *, seconds: float) -> Said:
    """Call for so long, once at least. speak: returns how many sentences and tokens it said."""
    until = time.perf_counter() + seconds
    took: list[float] = []
    sentences = tokens = 0
    while not took or time.perf_counter() < until:
        began_at = time.perf_counter()
        more_sentences, more_tokens = speak()
        took.append(time.perf_counter() - began_at)
        sentences += more_sentences
        tokens += more_tokens
    return Said(sentences=sentences, tokens=tokens, call_seconds=tuple(took))
