"""Train/valid/test by content hash, so a post never changes sides as the corpus grows."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from ml.errors import CorpusTooSmall
from ml.text.cleaning import clean

# With 50 posts each held-out side expects 5, and is empty once in 200 corpora; below that, perplexity rests on a
# handful of words and early stopping follows noise.
MINIMUM_POSTS: Final = 50
MINIMUM_HELD_OUT_POSTS: Final = 1


class Split(StrEnum):
    """The side a post is on: learnt from, chosen by, reported on."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


_SIDES: Final = (Split.TRAIN,) * 8 + (Split.VALID, Split.TEST)


@dataclass(frozen=True, slots=True)
class Splits:
    """A corpus in three parts, each in the order in which the posts came, each text once."""

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]


def split_of(text: str) -> Split:
    """The side of a post: 80 % train, 10 % valid, 10 % test. Case and what cleaning removes make no difference."""
    return _side_of(_identity(text))


def split_posts(posts: Iterable[str]) -> Splits:
    """Split cleaned posts; empty ones and repetitions are left out.

    Nothing is moved between the sides to fill an empty one: a post seen in training would then be tested on later.

    Raises CorpusTooSmall when fewer than MINIMUM_POSTS distinct posts are there or a held-out side is empty.
    """
    distinct: dict[str, str] = {}
    for post in posts:
        distinct.setdefault(_identity(post), post)
    distinct.pop("", None)
    if len(distinct) < MINIMUM_POSTS:
        raise CorpusTooSmall(
            f"The corpus has {len(distinct)} distinct posts with text in them; at least {MINIMUM_POSTS} are needed."
            " Add more posts."
        )
    sides: dict[Split, list[str]] = {split: [] for split in Split}
    for identity, post in distinct.items():
        sides[_side_of(identity)].append(post)
    for split in (Split.VALID, Split.TEST):
        if len(sides[split]) < MINIMUM_HELD_OUT_POSTS:
            raise CorpusTooSmall(
                f"None of the {len(distinct)} distinct posts falls into the {split} split, which takes one in ten and"
                f" needs {MINIMUM_HELD_OUT_POSTS}. Add some more posts."
            )
    return Splits(train=tuple(sides[Split.TRAIN]), valid=tuple(sides[Split.VALID]), test=tuple(sides[Split.TEST]))


def _identity(text: str) -> str:
    return clean(text).casefold()


def _side_of(identity: str) -> Split:
    digest = blake2b(identity.encode(), digest_size=8).digest()
    return _SIDES[int.from_bytes(digest) % len(_SIDES)]
