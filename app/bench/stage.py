"""The stage of every measure: a temporary folder, a PostgreSQL, a trained artifact, personas that speak it."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from app.bench import personas
from app.db.embedded import embedded_postgres
from app.settings import Settings
from ml import artifact
from ml.bench import suite, systems, trained
from ml.bench.apart import run_apart
from ml.bench.corpus import Corpus
from ml.bench.row import Task

# What the goals are told for: the default persona model on this corpus.
CORPUS: Final = "trump"
PRESET: Final = "lstm-kn5"
PERSONAS: Final = 10
SEED: Final = 1


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a measure needs to know. seconds: how long each of its loads is kept up. settings: of every service."""

    folder: Path
    artifact: Path
    corpus: Corpus
    settings: Settings
    seconds: float

    @property
    def key(self) -> str:
        """The admin key of the services."""
        if self.settings.admin_key is None:
            raise AssertionError("open_stage sets it")
        return self.settings.admin_key.get_secret_value()

    @property
    def database_url(self) -> str:
        if self.settings.database_url is None:
            raise AssertionError("open_stage sets it")
        return self.settings.database_url.get_secret_value()


def find_corpus(data: Path | None) -> Corpus:
    """The corpus of the goals. Raises CorpusError."""
    described = suite.load(CORPUS)
    return Corpus.find(described.corpus, words=described.words, data=data)


@contextmanager
def open_stage(*, corpus: Corpus, trained_artifact: Path | None, minutes: float, seconds: float) -> Iterator[Stage]:
    """Bring everything up, with PERSONAS personas; nothing is left of it after the block.

    trained_artifact: a model version's folder, None to train one for so many minutes. Raises ArtifactError, MlError.
    """
    if trained_artifact is not None:
        artifact.read_config(trained_artifact)
    # Run by root, PostgreSQL is another user: folders of its data have to be open to it (tests/app/conftest.py).
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as name:
        folder = Path(name)
        model = folder / "artifact"
        if trained_artifact is None:
            model = _train(folder / "training", corpus=corpus, minutes=minutes)
        else:
            shutil.copytree(trained_artifact, model)
        with embedded_postgres(folder / "database") as database_url:
            settings = Settings(
                database_url=SecretStr(database_url),
                data_dir=folder / "data",
                artifacts_url=None,
                admin_key=SecretStr(secrets.token_hex(16)),
                log_level="warning",
            )
            stage = Stage(folder=folder, artifact=model, corpus=corpus, settings=settings, seconds=seconds)
            asyncio.run(personas.add(settings, model, handles=personas.handles(PERSONAS)))
            yield stage


def _train(directory: Path, *, corpus: Corpus, minutes: float) -> Path:
    directory.mkdir()
    task = Task(
        system=PRESET,
        preset=PRESET,
        overrides={},
        corpus=corpus,
        minutes=minutes,
        seed=SEED,
        sentences=0,
        copied_words=0,
        directory=directory,
    )
    run_apart(systems.measure, "preset", task)
    return trained.artifact_in(directory)
