"""A folder of benchmark corpora in small: the files that the suites read, made of the small corpus."""

import json
from pathlib import Path

import pytest

from ml.bench.corpus import Corpus
from ml.bench.row import Task


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "ptb").mkdir()
    (folder / "trump" / "words").mkdir(parents=True)
    sides = {"train": small_corpus[:200], "valid": small_corpus[200:230], "test": small_corpus[230:260]}
    for split, posts in sides.items():
        lines = "".join(" ".join(post.split()) + " <unk>\n" for post in posts)
        (folder / "ptb" / f"ptb.{split}.txt").write_text(lines)
        (folder / "trump" / "words" / f"{split}.txt").write_text(lines)
        records = "".join(json.dumps({"text": post}) + "\n" for post in posts)
        (folder / "trump" / f"{split}.jsonl").write_text(records)
    return folder


@pytest.fixture
def words(data: Path) -> Corpus:
    names = {split: f"trump/words/{split}.txt" for split in ("train", "valid", "test")}
    return Corpus.find(names, words=True, data=data)


@pytest.fixture
def posts(data: Path) -> Corpus:
    names = {split: f"trump/{split}.jsonl" for split in ("train", "valid", "test")}
    return Corpus.find(names, words=False, data=data)


@pytest.fixture
def task(words: Corpus, tmp_path: Path) -> Task:
    """The words, for the n-gram preset; a test takes what else it needs with `dataclasses.replace`."""
    return Task(
        system="it",
        preset="kneser-ney",
        overrides={},
        corpus=words,
        minutes=0.001,
        seed=1,
        sentences=0,
        copied_words=4,
        directory=tmp_path,
    )
