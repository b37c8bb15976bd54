"""/api/v1/personas/{handle}/score and /api/v1/attribute: texts that are read by models."""

from fastapi import APIRouter, Request

from app.personas.endpoints import HandlePath
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.sampling.attribution import attribute
from app.sampling.endpoints import SamplerDep
from app.sampling.hang_up import unless_hung_up
from app.sampling.reading_schemas import AttributionCreate, AttributionOut, CandidateOut, ScoreCreate, ScoreOut
from app.sampling.scores import score_text

router = APIRouter(tags=["sampling"])


@router.post("/personas/{handle}/score", responses=responses(401, 404, 409, 422, 429, 503))
async def score(
    request: Request, runtime: RuntimeDep, sampler: SamplerDep, handle: HandlePath, body: ScoreCreate
) -> ScoreOut:
    """What a text costs the persona's model, in all and a token."""
    reading = score_text(runtime, sampler, handle=handle, text=body.text)
    return ScoreOut.of(await unless_hung_up(request, reading))


@router.post("/attribute", responses=responses(401, 409, 422, 429, 503))
async def attribute_text(
    request: Request, runtime: RuntimeDep, sampler: SamplerDep, body: AttributionCreate
) -> AttributionOut:
    """Which persona most likely wrote a text."""
    candidates = await unless_hung_up(request, attribute(runtime, sampler, text=body.text, handles=body.handles))
    return AttributionOut(candidates=[CandidateOut.of(candidate) for candidate in candidates])
