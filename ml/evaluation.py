"""Score of any LanguageModel on posts, and what each token of one text costs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.language_model import LanguageModel
from ml.score import Score
from ml.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenSurprisal:
    """One token and what it cost. text: as it decodes on its own, empty for `<eos>`."""

    text: str
    nats: float


def evaluate(model: LanguageModel, tokenizer: Tokenizer, posts: Sequence[str]) -> Score:
    """The cost of the posts, read one after the other. Each ends with `<eos>` and with one newline byte."""
    tokens = tokenizer.encode_posts(posts)
    nats = -model.score(tokens).sum(dtype=np.float64)
    return Score(float(nats), tokens=len(tokens), bytes=sum(len(post.encode()) + 1 for post in posts))


def surprisal(model: LanguageModel, tokenizer: Tokenizer, text: str) -> list[TokenSurprisal]:
    """What each token of the text cost as one post, `<eos>` last."""
    tokens = tokenizer.encode_posts([text])
    return [
        TokenSurprisal(tokenizer.decode([token]), nats=-log_probability)
        for token, log_probability in zip(tokens.tolist(), model.score(tokens).tolist(), strict=True)
    ]
