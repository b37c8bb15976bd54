"""Which persona most likely wrote a text: Bayes' rule over the models that are promoted, each as likely beforehand.

P(persona | text) ∝ P(text | persona), and P(text | persona) is what the persona's model gives the whole text. Models
with different tokenizers compare, since they divide the same text differently and lose nothing of it. A model of a
closed vocabulary does lose what it does not know, and pays for spelling it (see ml.text.unknown_words).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from app.errors import InvalidInput
from app.personas.errors import PersonaNotFound
from app.runtime import Runtime
from app.sampling import service
from app.sampling.errors import NoAuthor, NoModelYet
from app.sampling.sampler import Sampler, deadline
from app.sampling.scores import check_text, read, score_of
from app.sampling.speakers import speakers
from ml.score import Score
from ml.text.unknown_words import spelling_nats, unknown_words

MOST_PERSONAS: Final = 50


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A persona that may have written the text. score: of the whole text, spelling included."""

    handle: str
    model: int
    score: Score
    probability: float


async def attribute(runtime: Runtime, sampler: Sampler, *, text: str, handles: Sequence[str] | None) -> list[Candidate]:
    """All candidates, the most probable first; those named, or all personas that can speak.

    One after the other: as few models as possible are in memory at once.

    Raises EmptyText, InvalidInput, NoModelYet, NoAuthor, ModelUnavailable, Busy, TookTooLong.
    """
    check_text(text)
    considered = await _considered(runtime, handles)
    until = deadline()
    read_by: list[tuple[str, int, Score]] = []
    for handle in considered:
        who = await service.speaking(runtime, sampler, handle=handle)
        voice = who.served.voice
        reading = await read(sampler, voice, text=text, until=until)
        spelling = spelling_nats(unknown_words(voice.tokenizer, text))
        read_by.append((who.persona.handle, who.version.number, score_of(reading, text) + Score(spelling, 0, 0)))
    probabilities = posterior([score.nats for _, _, score in read_by])
    candidates = [
        Candidate(handle=handle, model=model, score=score, probability=probability)
        for (handle, model, score), probability in zip(read_by, probabilities, strict=True)
    ]
    return sorted(candidates, key=lambda candidate: (-candidate.probability, candidate.score.nats, candidate.handle))


def posterior(nats: Sequence[float]) -> list[float]:
    """softmax(-nats), in float64. Raises NoAuthor where all are infinite."""
    costs = np.array(nats, dtype=np.float64)
    if np.isinf(costs).all():
        raise NoAuthor("Each of the models gives this text a probability of 0. Try a shorter text, or other personas.")
    weights = np.exp(costs.min() - costs)
    shares: list[float] = (weights / weights.sum()).tolist()
    return shares


async def _considered(runtime: Runtime, handles: Sequence[str] | None) -> list[str]:
    if handles is not None:
        await _check_named(runtime, handles)
        return list(dict.fromkeys(handle.lower() for handle in handles))
    async with runtime.transaction() as session:
        found = await speakers(session, limit=MOST_PERSONAS + 1)
    if not found:
        raise NoModelYet("No persona has a model yet. Upload posts to one, or see how far its trainings are.")
    if len(found) > MOST_PERSONAS:
        raise InvalidInput.at("/handles", f"More than {MOST_PERSONAS} personas have a model. Name those to compare.")
    return [persona.handle for persona, _ in found]


async def _check_named(runtime: Runtime, handles: Sequence[str]) -> None:
    for number, handle in enumerate(handles):
        try:
            await service.promoted(runtime, handle=handle)
        except PersonaNotFound as error:
            raise InvalidInput.at(f"/handles/{number}", error.detail) from error
