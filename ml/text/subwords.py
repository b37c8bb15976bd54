"""Lossless open-vocabulary tokenizer: byte-level pair encoding, decode(encode(text)) == text for every text.

Source: Sennrich et al. 2016, §3.2, over the 256 byte values instead of characters.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from ml.errors import ArtifactError, ConfigError
from ml.language_model import TokenArray
from ml.text.tokenizer_file import FILE_NAME, read_fields, write_tokenizer_file

_BYTES: Final = 256
MINIMUM_SIZE: Final = _BYTES + 1

# A pair must be seen twice to be joined, and a subword must on average pay for itself with this much text; without
# the second bound a small corpus would turn each of its words into a token that is hardly ever seen again.
_MINIMUM_PAIR_COUNT: Final = 2
_BYTES_PER_SUBWORD: Final = 200

# Nothing is joined across these pieces: a word with the blank, `@` or `#` before it, digits, marks, blanks, breaks.
_PIECES: Final = r" ?[@#]?[\p{L}\p{M}_]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}_]+|\n+|[^\S\n]+(?!\S)|\s+"


class SubwordTokenizer:
    """Subwords learnt by joining the most frequent pairs. There is no `<unk>`: any byte is a token.

    `<eos>` is the last id and unknown to the encoder, so no text that someone types can become it.
    """

    kind: ClassVar[str] = "subwords"

    def __init__(self, vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> None:
        self._vocabulary = vocabulary
        self._merges = merges
        self._tokenizer = _assemble(models.BPE(vocab=vocabulary, merges=merges))

    @property
    def vocabulary_size(self) -> int:
        return len(self._vocabulary) + 1

    @property
    def eos(self) -> int:
        return len(self._vocabulary)

    @property
    def never_spoken(self) -> tuple[int, ...]:
        return ()

    @classmethod
    def learn(cls, posts: Iterable[str], *, vocabulary_size: int) -> Self:
        """Join pairs of the training posts until `vocabulary_size` ids, or as many as so much text can carry.

        Raises ConfigError when `vocabulary_size` cannot hold the 256 bytes and `<eos>`.
        """
        if vocabulary_size < MINIMUM_SIZE:
            raise ConfigError(f"vocabulary_size is {vocabulary_size}; 256 bytes and <eos> need {MINIMUM_SIZE}.")
        texts = list(posts)
        affordable = MINIMUM_SIZE + sum(len(text.encode()) for text in texts) // _BYTES_PER_SUBWORD
        trainer = trainers.BpeTrainer(
            vocab_size=min(vocabulary_size, affordable) - 1,
            min_frequency=_MINIMUM_PAIR_COUNT,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            special_tokens=[],
            show_progress=False,
        )
        tokenizer = _assemble(models.BPE())
        tokenizer.train_from_iterator(texts, trainer)
        learnt = json.loads(tokenizer.to_str())["model"]
        return cls(learnt["vocab"], [(left, right) for left, right in learnt["merges"]])

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def encode_posts(self, posts: Sequence[str]) -> TokenArray:
        ids: list[int] = []
        for encoding in self._tokenizer.encode_batch_fast(list(posts), add_special_tokens=False):
            ids += encoding.ids
            ids.append(self.eos)
        return np.array(ids, dtype=np.int64)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids. Bytes that are not UTF-8, as when a character is cut, decode to U+FFFD."""
        return str(self._tokenizer.decode([int(i) for i in ids if i != self.eos], skip_special_tokens=False))

    def save(self, directory: Path) -> None:
        subwords = sorted(self._vocabulary, key=self._vocabulary.__getitem__)
        write_tokenizer_file(directory, self.kind, fields={"subwords": subwords, "merges": self._merges})

    @classmethod
    def load(cls, directory: Path) -> Self:
        fields = read_fields(directory, cls.kind)
        path = directory / FILE_NAME
        subwords = _strings(fields.get("subwords"), path)
        vocabulary = {subword: i for i, subword in enumerate(subwords)}
        if len(vocabulary) != len(subwords) or not vocabulary.keys() >= set(pre_tokenizers.ByteLevel.alphabet()):
            raise ArtifactError(f"{path} names a subword twice, or not all bytes.")
        return cls(vocabulary, _known_merges(fields.get("merges"), vocabulary, path=path))


def _strings(value: object, path: Path) -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise ArtifactError(f"{path} should have a list of strings where it has something else.")


def _known_merges(value: object, vocabulary: dict[str, int], *, path: Path) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        raise ArtifactError(f"{path} has no list of merges.")
    merges = []
    for item in value:
        pair = _strings(item, path)
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocabulary.keys():
            raise ArtifactError(f"{path} joins {pair}, which are not subwords of it.")
        merges.append((pair[0], pair[1]))
    return merges


def _assemble(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer
