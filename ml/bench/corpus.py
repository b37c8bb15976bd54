"""The corpus of a benchmark: three files, taken as they are, from the folder that holds all corpora."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ml.errors import CorpusError, CorpusTooSmall
from ml.text.posts import read_posts
from ml.text.splits import Splits

VARIABLE: Final = "MYNAH_BENCHMARK_DATA"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Where the splits lie. words: whether a token is a word of the file, as in published tables."""

    train: Path
    valid: Path
    test: Path
    words: bool

    @classmethod
    def find(cls, names: Mapping[str, str], *, words: bool, data: Path | None) -> Self:
        """The corpus whose files have these names (by split) in the folder `data`.

        Raises CorpusError, with the file that was looked for and how to set the folder, when it is not there.
        """
        advice = f"Set {VARIABLE} to the folder of the benchmark corpora, or give it as --data."
        if data is None:
            raise CorpusError(f"This benchmark reads {names['train']}, and no folder to look in is named. {advice}")
        paths = {split: data / name for split, name in names.items()}
        for path in paths.values():
            if not path.is_file():
                raise CorpusError(f"There is no {path}, which this benchmark reads. {advice}")
        return cls(**paths, words=words)

    @property
    def files(self) -> dict[str, Path]:
        """The files by split."""
        return {"train": self.train, "valid": self.valid, "test": self.test}

    def read(self) -> Splits:
        """The posts. Raises CorpusError, CorpusTooSmall."""
        posts = {split: tuple(post for post in read_posts(path) if post) for split, path in self.files.items()}
        for split, found in posts.items():
            if not found:
                raise CorpusTooSmall(f"{self.files[split]} holds no post.")
        return Splits(**posts)
