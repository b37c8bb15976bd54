"""/api/v1/personas/{handle}/sentences, …/refusals"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.db.engine import SessionDep
from app.personas.endpoints import HandlePath, PersonaDep
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.sampling import service
from app.sampling.event_stream import MEDIA_TYPE, EventStream, stream, wants_events
from app.sampling.hang_up import unless_hung_up
from app.sampling.refusals import refusals_since
from app.sampling.sampler import Sampler
from app.sampling.schemas import RefusalsOut, SentenceOut, SentencesCreate, SentencesOut
from app.sampling.sentence_events import sentence_events

router = APIRouter(prefix="/personas/{handle}", tags=["sampling"])


async def sampler_of(request: Request) -> Sampler:
    """What this process draws sentences with."""
    sampler: Sampler = request.app.state.sampler
    return sampler


SamplerDep = Annotated[Sampler, Depends(sampler_of)]


@router.post(
    "/sentences",
    response_model=SentencesOut,
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "Sentences, at once or as server-sent events"},
        **responses(401, 404, 409, 422, 429, 503),
    },
)
async def sample_sentences(
    request: Request,
    runtime: RuntimeDep,
    sampler: SamplerDep,
    handle: HandlePath,
    body: SentencesCreate | None = None,
) -> SentencesOut | EventStream:
    """New sentences in the persona's voice; with `Accept: text/event-stream`, a token at a time (docs/api.md)."""
    wanted = body or SentencesCreate()
    if wants_events(request):
        events = sentence_events(runtime, sampler, handle=handle, wanted=wanted, path=request.url.path)
        return await stream(request, events)
    spoken = await unless_hung_up(
        request, service.speak(runtime, sampler, handle=handle, n=wanted.n, controls=wanted.controls, seed=wanted.seed)
    )
    return SentencesOut(
        model=spoken.version.number,
        seed=spoken.seed,
        sentences=[SentenceOut.of(sentence) for sentence in spoken.sentences],
        given_up=dict(spoken.given_up),
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
