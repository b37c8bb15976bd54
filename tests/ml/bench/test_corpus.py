from pathlib import Path

import pytest

from ml.bench.corpus import Corpus
from ml.errors import CorpusError, CorpusTooSmall

NAMES = {"train": "a/train.txt", "valid": "a/valid.txt", "test": "a/test.txt"}


def write(folder: Path, **texts: str) -> None:
    (folder / "a").mkdir()
    for split, text in texts.items():
        (folder / "a" / f"{split}.txt").write_text(text)


def test_a_missing_file_is_named_with_the_way_to_set_the_folder(tmp_path: Path) -> None:
    write(tmp_path, train="x\n", valid="x\n")
    with pytest.raises(CorpusError, match=r"a/test\.txt.*MYNAH_BENCHMARK_DATA.*--data"):
        Corpus.find(NAMES, words=True, data=tmp_path)
    with pytest.raises(CorpusError, match=r"a/train\.txt.*MYNAH_BENCHMARK_DATA.*--data"):
        Corpus.find(NAMES, words=True, data=None)


def test_the_splits_are_taken_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, train="RT @x: a\nRT @x: a\n\n", valid="b &amp; c\n", test="d\n")
    splits = Corpus.find(NAMES, words=True, data=tmp_path).read()
    assert (splits.train, splits.valid, splits.test) == (("RT @x: a", "RT @x: a"), ("b &amp; c",), ("d",))


def test_an_empty_split_is_refused(tmp_path: Path) -> None:
    write(tmp_path, train="a\n", valid="\n", test="d\n")
    with pytest.raises(CorpusTooSmall, match=r"valid\.txt holds no post"):
        Corpus.find(NAMES, words=True, data=tmp_path).read()
