"""/api/v1/personas/{handle}/sentences, …/refusals"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.db.engine import SessionDep
from app.personas.endpoints import HandlePath, PersonaDep
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.sampling import service
from app.sampling.hang_up import unless_hung_up
from app.sampling.refusals import refusals_since
from app.sampling.sampler import Sampler
from app.sampling.schemas import RefusalsOut, SentenceOut, SentencesCreate, SentencesOut
from ml.sampling.sentence import Sentence

router = APIRouter(prefix="/personas/{handle}", tags=["sampling"])


async def sampler_of(request: Request) -> Sampler:
    """What this process draws sentences with."""
    sampler: Sampler = request.app.state.sampler
    return sampler


SamplerDep = Annotated[Sampler, Depends(sampler_of)]


@router.post("/sentences", responses=responses(401, 404, 409, 422, 429, 503))
async def sample_sentences(
    request: Request,
    runtime: RuntimeDep,
    sampler: SamplerDep,
    handle: HandlePath,
    body: SentencesCreate | None = None,
) -> SentencesOut:
    """New sentences in the persona's voice."""
    wanted = body or SentencesCreate()
    controls = wanted.model_dump(exclude={"n", "seed"})
    spoken = await unless_hung_up(
        request, service.speak(runtime, sampler, handle=handle, n=wanted.n, controls=controls, seed=wanted.seed)
    )
    return SentencesOut(
        model=spoken.version.number,
        seed=spoken.seed,
        sentences=[_out(sentence) for sentence in spoken.sentences],
        given_up=dict(spoken.given_up),
    )


def _out(sentence: Sentence) -> SentenceOut:
    return SentenceOut(
        text=sentence.text,
        log_probability=sentence.log_probability,
        perplexity=sentence.perplexity,
        tokens=sentence.tokens,
        finish=sentence.finish,
    )


@router.get("/refusals", responses=responses(401, 404, 422))
async def read_refusals(
    session: SessionDep,
    runtime: RuntimeDep,
    persona: PersonaDep,
    days: Annotated[int, Query(ge=1, le=3650, description="How many days back, today included (UTC).")] = 30,
) -> RefusalsOut:
    """How often each filter refused a sentence of the persona. Counts come in with some seconds of delay."""
    since = runtime.clock().date() - timedelta(days=days - 1)
    counts = await refusals_since(session, persona_id=persona.id, since=since)
    return RefusalsOut(since=since, total=sum(counts.values()), reasons=counts)
