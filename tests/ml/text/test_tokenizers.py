import json
from pathlib import Path
from typing import Any

import pytest

from ml.errors import ArtifactError, ConfigError
from ml.text.tokenizers import TOKENIZERS, learn_tokenizer, load_tokenizer

KINDS = sorted(TOKENIZERS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_is_the_same_when_loaded(kind: str, tmp_path: Path, small_corpus: list[str]) -> None:
    learnt = learn_tokenizer(kind, small_corpus, vocabulary_size=400)
    learnt.save(tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert type(loaded) is type(learnt)
    assert (loaded.vocabulary_size, loaded.eos, loaded.never_spoken) == (
        learnt.vocabulary_size,
        learnt.eos,
        learnt.never_spoken,
    )
    posts = [*small_corpus, "something new, 新しい"]
    assert loaded.encode_posts(posts).tolist() == learnt.encode_posts(posts).tolist()


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="no tokenizer 'letters'; there are words, subwords"):
        learn_tokenizer("letters", [], vocabulary_size=400)


def test_an_empty_directory_holds_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"tokenizer\.json cannot be read"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"\xff", b"not JSON", b"[]", b"{}", b'{"kind": "words", "format": 99}', b'{"kind": "letters", "format": 1}'],
)
def test_a_file_that_is_no_tokenizer_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ArtifactError):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("words", {"words": None}),
        ("words", {"words": ["<unk>", "<eos>", 3]}),
        ("words", {"words": ["a", "b"]}),
        ("subwords", {"subwords": None}),
        ("subwords", {"subwords": ["a", "b"]}),
        ("subwords", {"merges": None}),
        ("subwords", {"merges": [["a", "nowhere"]]}),
        ("subwords", {"merges": [["a"]]}),
        ("subwords", {"merges": [[1, 2]]}),
    ],
)
def test_a_tokenizer_altered_into_nonsense_is_refused(
    kind: str, change: dict[str, Any], tmp_path: Path, small_corpus: list[str]
) -> None:
    learn_tokenizer(kind, small_corpus, vocabulary_size=400).save(tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ArtifactError):
        load_tokenizer(tmp_path)
    with pytest.raises(ArtifactError):
        TOKENIZERS["words" if kind == "subwords" else "subwords"].load(tmp_path)
