"""The Tokenizer protocol: posts to token ids and back. A tokenizer is learnt from the training split only."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, Self

from ml.language_model import TokenArray


class Tokenizer(Protocol):
    """Maps a post to token ids and back; `<eos>` closes a post and is never inside one."""

    kind: ClassVar[str]

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def eos(self) -> int:
        """The id of `<eos>`."""
        ...

    @property
    def never_spoken(self) -> tuple[int, ...]:
        """Ids that a sampler must not draw (`<unk>`); `<eos>` is not among them."""
        ...

    @classmethod
    def learn(cls, posts: Iterable[str], *, vocabulary_size: int) -> Self:
        """Learn from training posts; at most `vocabulary_size` ids come of it."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of one post or of a prompt, without `<eos>`."""
        ...

    def encode_posts(self, posts: Sequence[str]) -> TokenArray:
        """[T] int64: the posts one after the other, each closed by `<eos>`."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; `<eos>` decodes to nothing."""
        ...

    def save(self, directory: Path) -> None: ...

    @classmethod
    def load(cls, directory: Path) -> Self: ...
