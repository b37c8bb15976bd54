"""The tokens of a completion as its reader sees them: text, place, cost and what else could have been said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.sampling.completion_schemas import Logprobs
from ml.sampling.alternatives import Alternatives
from ml.sampling.pieces import Detokenizer
from ml.text.tokenizer import Tokenizer

_EOS: Final = "<eos>"
# JSON has no infinity; this is what OpenAI's API writes for it.
_IMPOSSIBLE: Final = -9999.0


@dataclass(frozen=True, slots=True)
class SeenToken:
    """offset: where it begins in the text, in characters; others: log-probabilities by text, its own among them."""

    text: str
    offset: int
    log_probability: float
    others: dict[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """Tokens that follow one another, and what the engine noted of each. alternatives: empty where none was asked."""

    tokens: Sequence[int]
    log_probabilities: Sequence[float]
    alternatives: Sequence[Alternatives]


def seen_tokens(
    tokenizer: Tokenizer, told: Told, *, before: Sequence[int] = (), begin: int, end: int, rivals: bool = True
) -> list[SeenToken]:
    """Those that stand in the text between two places, of which the first is where they begin.

    `<eos>`, and what was said after the text's cut, stand nowhere. rivals: whether others are told.
    """
    seen, offset = [], begin
    detokenizer = Detokenizer(tokenizer, before)
    for token, log_probability, alternatives in _rows(told):
        shown = [*alternatives, (token, log_probability)] if rivals else []
        others = {_name(tokenizer, detokenizer, other): _told(cost) for other, cost in shown}
        text = detokenizer.add(token)
        if offset >= end:
            break
        seen.append(SeenToken(text, offset, _told(log_probability), others))
        offset += len(text)
    return seen


def logprobs_of(seen: Sequence[SeenToken]) -> Logprobs:
    """As columns."""
    return Logprobs(
        tokens=[token.text for token in seen],
        token_logprobs=[token.log_probability for token in seen],
        top_logprobs=[token.others for token in seen],
        text_offset=[token.offset for token in seen],
    )


def _rows(told: Told) -> Iterator[tuple[int, float, Alternatives]]:
    alternatives = told.alternatives or [()] * len(told.tokens)
    return zip(told.tokens, told.log_probabilities, alternatives, strict=True)


def _name(tokenizer: Tokenizer, detokenizer: Detokenizer, token: int) -> str:
    """A token's text here; parts of characters, which have none, go by their number."""
    if token == tokenizer.eos:
        return _EOS
    text = detokenizer.would_add(token)
    return f"token_id:{token}" if text is None else text


def _told(log_probability: float) -> float:
    return max(log_probability, _IMPOSSIBLE)
