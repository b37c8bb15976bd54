"""Our presets, trained as the service trains them: a child process `python -m ml train DIR`, told by its events."""

import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from ml import artifact
from ml.bench.copying import Copies
from ml.bench.row import Curve, Row, Task
from ml.errors import MlError
from ml.sampling.controls import Controls
from ml.sampling.engine import sample
from ml.training import events, run
from ml.training.directory import prepare

TRAINING: Final = "training"


@dataclass(frozen=True)
class _Told:
    """What a child told, and when. began, ended, at: seconds of the wall clock."""

    began: float
    ended: float
    happened: tuple[tuple[float, events.Event], ...]

    def evaluated(self, split: str) -> events.Evaluated:
        found = (event for _, event in self.happened if isinstance(event, events.Evaluated))
        return next(event for event in found if (event.model, event.split) == ("candidate", split))

    @property
    def started(self) -> tuple[float, events.Started]:
        return next((at, event) for at, event in self.happened if isinstance(event, events.Started))

    @property
    def curve(self) -> Curve:
        began, _ = self.started
        return tuple(
            (at - began, event.valid_perplexity) for at, event in self.happened if isinstance(event, events.Epoch)
        )


def measure(task: Task) -> Row:
    """Train in a child process, and let the model speak where the benchmark asks for sentences."""
    directory = task.directory / TRAINING
    request = run.Request(
        preset=task.preset,
        seed=task.seed,
        minutes=task.minutes,
        base=None if task.base is None else str(task.base),
        overrides=task.all_overrides,
    )
    files = {split: [path] for split, path in task.corpus.files.items()}
    if task.posts:
        files["train"] = [_first_posts(task)]
    prepare(directory, request, files=files)
    told = _train(directory)
    # The artifact is written between the end of the training and the evaluation of the three splits.
    trained = (directory / run.ARTIFACT / artifact.CONFIG).stat().st_mtime - told.began
    valid, test = told.evaluated("valid"), told.evaluated("test")
    per_second, copied, verbatim = _speak(directory / run.ARTIFACT, task) if task.sentences else (None, None, None)
    return Row(
        system=task.system,
        parameters=next(event.parameters for _, event in told.happened if isinstance(event, events.Finished)),
        train_seconds=trained,
        tokens_per_second=_tokens_per_second(told, train_seconds=trained),
        valid_perplexity=valid.perplexity,
        test_perplexity=test.perplexity,
        bits_per_byte=test.bits_per_byte,
        sentences_per_second=per_second,
        copied_share=copied,
        verbatim_share=verbatim,
        curve=told.curve,
    )


def artifact_in(directory: Path) -> Path:
    """Where the model lies that a task with this directory has trained."""
    return directory / TRAINING / run.ARTIFACT


def _first_posts(task: Task) -> Path:
    """The first of the training posts in a file of their own."""
    some = task.directory / f"some{task.corpus.train.suffix}"
    with task.corpus.train.open("rb") as every:
        some.write_bytes(b"".join(islice(every, task.posts)))
    return some


def _train(directory: Path) -> _Told:
    command = [sys.executable, "-m", "ml", "train", str(directory), "--json", "--die-with-parent"]
    began = time.time()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603  our own command
        if child.stdout is None:
            raise AssertionError("the child's output is a pipe")
        told = tuple((time.time(), events.from_line(line)) for line in child.stdout)
    if failed := [event for _, event in told if isinstance(event, events.Failed)]:
        raise MlError(failed[0].detail)
    if child.returncode:
        raise MlError(f"The training ended with code {child.returncode} and said nothing.")
    return _Told(began, time.time(), told)


def _tokens_per_second(told: _Told, *, train_seconds: float) -> float:
    """Over all passes, validation left out; for what is only counted, training tokens over the whole time."""
    passes = [event for _, event in told.happened if isinstance(event, events.Epoch)]
    if not passes:
        return told.started[1].tokens["train"] / train_seconds
    tokens = sum(event.tokens_per_second * event.seconds for event in passes)
    return tokens / sum(event.seconds for event in passes)


def _speak(directory: Path, task: Task) -> tuple[float, float, float]:
    """Sentences a second, and the shares of them that are copied and verbatim. Loading the model is not counted."""
    loaded = artifact.load(directory)
    began_at = time.perf_counter()
    said = sample(loaded.model, loaded.tokenizer, n=task.sentences, controls=Controls(), seed=task.seed)
    seconds = time.perf_counter() - began_at
    texts = [sentence.text for sentence in said]
    copies = Copies(task.corpus.read().train, words=task.copied_words)
    return len(texts) / seconds, copies.copied_share(texts), copies.verbatim_share(texts)
