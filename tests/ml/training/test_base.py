"""A training that goes on from a base model: whose tokenizer and weights it takes, and that it helps."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from ml import artifact
from ml.errors import ConfigError, CorpusError
from ml.training import events, run
from ml.training.directory import prepare

TINY: dict[str, object] = {
    "model.hidden_size": 24,
    "model.embedding_size": 16,
    "text.vocabulary_size": 300,
    "training.columns": 4,
    "training.window": 10,
    "training.patience": 100,
    "training.learning_rate": 0.02,
    "training.tuning_rate": 0.005,
}


def file_of(path: Path, posts: Sequence[str]) -> Path:
    path.write_text("".join(json.dumps({"text": post}) + "\n" for post in posts))
    return path


def train(
    directory: Path, files: Sequence[Path], *, base: Path | None = None, preset: str = "lstm", epochs: int = 3
) -> list[events.Event]:
    overrides = TINY if preset == "lstm" else {}
    request = run.Request(
        preset=preset, seed=1, epochs=epochs, base=None if base is None else str(base), overrides=overrides
    )
    prepare(directory, request, files={"posts": files})
    return list(run.run(directory))


def valid_bits(happened: Sequence[events.Event]) -> float:
    return next(
        event.bits_per_byte for event in happened if isinstance(event, events.Evaluated) and event.split == "valid"
    )


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> tuple[Path, Path, Path]:
    """Two large ones and a small one of the same grammar."""
    folder = tmp_path_factory.mktemp("corpora")
    posts = list(dict.fromkeys(small_corpus))
    random.Random(1).shuffle(posts)
    return (
        file_of(folder / "one.jsonl", posts[:100]),
        file_of(folder / "other.jsonl", posts[100:200]),
        file_of(folder / "few.jsonl", posts[200:]),
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, corpora: tuple[Path, Path, Path]) -> Path:
    directory = tmp_path_factory.mktemp("base") / "training"
    started = train(directory, corpora[:2], epochs=8)[0]
    assert isinstance(started, events.Started)
    assert sum(started.posts.values()) == 200  # both corpora, pooled
    return directory / run.ARTIFACT


def test_a_small_corpus_is_learnt_better_from_a_base_and_read_with_its_tokenizer(
    base: Path, corpora: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    alone = train(tmp_path / "alone", corpora[2:])
    tuned = train(tmp_path / "tuned", corpora[2:], base=base)
    assert valid_bits(tuned) < valid_bits(alone)
    made, from_base = artifact.load(tmp_path / "tuned" / run.ARTIFACT), artifact.load(base)
    assert made.tokenizer.vocabulary_size == from_base.tokenizer.vocabulary_size
    assert made.tokenizer.encode("the mynah") == from_base.tokenizer.encode("the mynah")
    assert made.config["base"] is True
    assert artifact.load(tmp_path / "alone" / run.ARTIFACT).config["base"] is False


def test_n_grams_go_on_from_no_base_and_are_none(base: Path, corpora: tuple[Path, Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Leave base out"):
        train(tmp_path / "counted", corpora[2:], base=base, preset="kneser-ney")
    train(tmp_path / "ngrams", corpora[2:], preset="kneser-ney")
    with pytest.raises(ConfigError, match="no recurrent network to go on from"):
        train(tmp_path / "tuned", corpora[2:], base=tmp_path / "ngrams" / run.ARTIFACT)
    assert not (tmp_path / "tuned").exists()


def test_files_of_different_kinds_are_not_pooled_and_missing_ones_are_named(
    corpora: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "posts.txt").write_text("hello\n")
    with pytest.raises(ConfigError, match="pooled"):
        train(tmp_path / "mixed", [corpora[0], tmp_path / "posts.txt"])
    with pytest.raises(CorpusError, match="nowhere"):
        train(tmp_path / "missing", [corpora[0], tmp_path / "nowhere.jsonl"])
    assert not (tmp_path / "mixed").exists()
