"""Filters: each looks at a finished text and lets it pass or says why not. One file a filter, one registry.

filters = filters_for(policy, corpus_index=artifact.corpus_index, recent=texts, blocklists=blocklists.of(…))
refusal = first_refusal(filters, text)
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.personas.filter_policy import FilterPolicy
from app.sampling.filters.blocked import blocked
from app.sampling.filters.blocklist import Blocklist
from app.sampling.filters.copied import copied
from app.sampling.filters.mention import mention
from app.sampling.filters.refusal import Filter, Reason, Refusal
from app.sampling.filters.repeated import repeated
from app.sampling.filters.unbalanced import unbalanced
from ml.text.corpus_index import CorpusIndex

__all__ = ["FILTERS", "Filter", "Reason", "Refusal", "filters_for", "first_refusal"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """What filters are made of."""

    policy: FilterPolicy
    corpus_index: CorpusIndex
    recent: Collection[str]
    blocklists: Sequence[Blocklist]


def _copied(given: Given) -> Filter:
    policy = given.policy
    return copied(given.corpus_index, words_limit=policy.copied_words_limit, share_limit=policy.copied_share_limit)


# In the order in which they look: the quick ones first, and a repeated post is told as one, not as copied.
FILTERS: Final[dict[str, Callable[[Given], Filter | None]]] = {
    "mention": lambda given: mention(given.policy.allow_mentions),
    "unbalanced": lambda given: unbalanced if given.policy.balanced else None,
    "repeated": lambda given: None if given.policy.allow_repeats else repeated(given.corpus_index, recent=given.recent),
    "blocked": lambda given: blocked(given.blocklists) if given.blocklists else None,
    "copied": _copied,
}


def filters_for(
    policy: FilterPolicy, *, corpus_index: CorpusIndex, recent: Collection[str] = (), blocklists: Sequence[Blocklist]
) -> list[Filter]:
    """The filters of one request. Cheap: microseconds, and some for each recent text.

    recent: what the persona posted or drafted lately. blocklists: as `Blocklists.of` gives them.
    """
    given = Given(policy=policy, corpus_index=corpus_index, recent=recent, blocklists=blocklists)
    return [made for make in FILTERS.values() if (made := make(given)) is not None]


def first_refusal(filters: Iterable[Filter], text: str) -> Refusal | None:
    """Why the text is not to be said: the first filter's word that refuses it, or None."""
    return next((refusal for check in filters if (refusal := check(text)) is not None), None)
