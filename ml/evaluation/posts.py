"""Score of any model on posts: of all together, of each, and what each token cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ml.errors import EvaluationError
from ml.language_model import FloatArray, TokenArray
from ml.score import Score
from ml.text.tokenizer import Tokenizer


class Scorer(Protocol):
    """All that an evaluation asks of a model: each LanguageModel has it, and so have the wrappers that learn on."""

    def score(self, tokens: TokenArray) -> FloatArray:
        """As LanguageModel.score: [T] int64 → [T] float32."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSurprisal:
    """One token and what it cost. text: as it decodes on its own, empty for `<eos>`."""

    text: str
    nats: float


@dataclass(frozen=True, slots=True)
class PostScores:
    """What each of N posts cost, from one reading of all T tokens.

    ids: [T] int64, the stream that was scored; token_nats: [T] float64, the cost of each token; ends: [N] int64, the
    place after each post's `<eos>`; bytes: [N] int64, UTF-8 length and one newline byte.
    """

    ids: TokenArray
    token_nats: NDArray[np.float64]
    ends: TokenArray
    bytes: TokenArray

    @property
    def tokens(self) -> TokenArray:
        """How many tokens each post has, `<eos>` counted: [N] int64."""
        lengths: TokenArray = np.diff(self.ends, prepend=0)
        return lengths

    @property
    def nats(self) -> NDArray[np.float64]:
        """The cost of each post: [N] float64."""
        begins = np.concatenate(([0], self.ends[:-1]))[: len(self.ends)]
        return np.add.reduceat(self.token_nats, begins) if len(begins) else np.empty(0)

    @property
    def total(self) -> Score:
        """All posts together."""
        return Score(float(self.token_nats.sum()), tokens=len(self.ids), bytes=int(self.bytes.sum()))

    def surprisals(self, tokenizer: Tokenizer) -> list[list[TokenSurprisal]]:
        """What each token of each post cost, `<eos>` last."""
        pairs = list(zip(self.ids.tolist(), self.token_nats.tolist(), strict=True))
        return [
            [TokenSurprisal(tokenizer.decode([token]), nats=nats) for token, nats in pairs[end - length : end]]
            for end, length in zip(self.ends.tolist(), self.tokens.tolist(), strict=True)
        ]


def score_posts(model: Scorer, tokenizer: Tokenizer, posts: Sequence[str]) -> PostScores:
    """What each post cost, read one after the other in one call of `score`.

    A token that a model rules out costs infinitely much. Raises EvaluationError when a cost is no number: such a model
    is broken.
    """
    ids = tokenizer.encode_posts(posts)
    nats = -model.score(ids).astype(np.float64)
    if broken := int(np.count_nonzero(np.isnan(nats))):
        raise EvaluationError(
            f"The model gives {broken} of {len(ids)} tokens a probability that is no number. Train it again."
        )
    sizes = np.array([len(post.encode()) + 1 for post in posts], dtype=np.int64)
    return PostScores(ids, nats, ends=np.flatnonzero(ids == tokenizer.eos) + 1, bytes=sizes)


def evaluate(model: Scorer, tokenizer: Tokenizer, posts: Sequence[str]) -> Score:
    """The cost of the posts, read one after the other. Each ends with `<eos>` and with one newline byte.

    Raises EvaluationError as score_posts.
    """
    return score_posts(model, tokenizer, posts).total


def surprisal(model: Scorer, tokenizer: Tokenizer, text: str) -> list[TokenSurprisal]:
    """What each token of the text cost as one post, `<eos>` last."""
    (tokens,) = score_posts(model, tokenizer, [text]).surprisals(tokenizer)
    return tokens
