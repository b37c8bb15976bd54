"""Which tokenizers there are, by kind: how to learn one and how to load whichever lies in a directory."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ml.errors import ArtifactError, ConfigError, CorpusTooSmall
from ml.text.subwords import SubwordTokenizer
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizer_file import read_kind
from ml.text.words import WordTokenizer

TOKENIZERS: Final[dict[str, type[Tokenizer]]] = {
    WordTokenizer.kind: WordTokenizer,
    SubwordTokenizer.kind: SubwordTokenizer,
}


def learn_tokenizer(kind: str, posts: Iterable[str], *, vocabulary_size: int) -> Tokenizer:
    """Learn a tokenizer of this kind from training posts.

    Raises ConfigError when there is no such kind or the size is too small for it, CorpusTooSmall when nothing is left
    that could be said.
    """
    if kind not in TOKENIZERS:
        raise ConfigError(f"There is no tokenizer {kind!r}; there are {', '.join(TOKENIZERS)}.")
    learnt = TOKENIZERS[kind].learn(posts, vocabulary_size=vocabulary_size)
    if learnt.vocabulary_size <= 1 + len(learnt.never_spoken):  # `<eos>`, `<unk>`
        raise CorpusTooSmall(
            "There is no word to say: none is seen twice in the training posts, or the vocabulary has no room for one. "
            "Add more posts, raise text.vocabulary_size, or take subwords as text.tokenizer."
        )
    return learnt


def load_tokenizer(directory: Path) -> Tokenizer:
    """The tokenizer that lies in the directory, whatever its kind.

    Raises ArtifactError when there is none, or it is broken or of an unknown kind.
    """
    kind = read_kind(directory)
    if kind not in TOKENIZERS:
        raise ArtifactError(f"{directory} holds a tokenizer of kind {kind!r}; known are {', '.join(TOKENIZERS)}.")
    return TOKENIZERS[kind].load(directory)
