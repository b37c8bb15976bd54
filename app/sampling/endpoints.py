"""/api/v1/personas/{handle}/sentences, …/refusals"""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.db.engine import SessionDep
from app.personas.endpoints import HandlePath, PersonaDep
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.sampling import service
from app.sampling.refusals import refusals_since
from app.sampling.schemas import RefusalsOut, SentenceOut, SentencesCreate, SentencesOut
from app.sampling.served_models import ServedModels

router = APIRouter(prefix="/personas/{handle}", tags=["sampling"])


def served_models_of(request: Request) -> ServedModels:
    """The models that this process has loaded."""
    served_models: ServedModels = request.app.state.served_models
    return served_models


@router.post("/sentences", responses=responses(401, 404, 409, 422, 503))
async def sample_sentences(
    runtime: RuntimeDep,
    served_models: Annotated[ServedModels, Depends(served_models_of)],
    handle: HandlePath,
    body: SentencesCreate | None = None,
) -> SentencesOut:
    """New sentences in the persona's voice."""
    wanted = body or SentencesCreate()
    controls = wanted.model_dump(exclude={"n", "seed"})
    spoken = await service.speak(runtime, served_models, handle=handle, n=wanted.n, controls=controls, seed=wanted.seed)
    return SentencesOut(
        model=spoken.version.number,
        seed=spoken.seed,
        sentences=[
            SentenceOut(
                text=sentence.text,
                log_probability=sentence.log_probability,
                perplexity=sentence.perplexity,
            )
            for sentence in spoken.sentences
        ],
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
