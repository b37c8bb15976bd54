"""/api/v1/personas/{handle}/sentences"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.personas.endpoints import HandlePath
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.sampling import service
from app.sampling.event_stream import MEDIA_TYPE, EventStream, stream, wants_events
from app.sampling.hang_up import unless_hung_up
from app.sampling.sampler import Sampler
from app.sampling.schemas import SentenceOut, SentencesCreate, SentencesOut
from app.sampling.sentence_events import sentence_events

router = APIRouter(prefix="/personas/{handle}", tags=["sampling"])


def sampler_of(request: Request) -> Sampler:
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
