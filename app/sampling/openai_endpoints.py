"""/v1/models and /v1/completions, as OpenAI's API has them: a persona is a model to every client library."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from app.auth.api_keys import require_key
from app.personas.models import Persona
from app.runtime import RuntimeDep
from app.sampling import completions, service
from app.sampling.completion_events import completion_events
from app.sampling.completion_schemas import CompletionCreate, CompletionOut, ModelOut, ModelsOut
from app.sampling.endpoints import SamplerDep
from app.sampling.event_stream import MEDIA_TYPE, EventStream, stream
from app.sampling.hang_up import unless_hung_up
from app.sampling.openai_errors import OpenAIRoute, responses
from app.sampling.speakers import speakers
from app.training.models import ModelVersion

router = APIRouter(
    prefix="/v1",
    tags=["openai"],
    route_class=OpenAIRoute,
    dependencies=[Depends(require_key, scope="function")],
)


@router.get("/models", responses=responses(401))
async def list_models(runtime: RuntimeDep) -> ModelsOut:
    """All personas that can speak."""
    async with runtime.transaction() as session:
        found = await speakers(session)
    return ModelsOut(data=[_model(persona, version) for persona, version in found])


@router.get("/models/{model}", responses=responses(401, 404))
async def read_model(
    runtime: RuntimeDep, model: Annotated[str, Path(max_length=100, description="A persona's handle.")]
) -> ModelOut:
    """One persona that can speak."""
    persona, version = await service.promoted(runtime, handle=model)
    return _model(persona, version)


@router.post(
    "/completions",
    response_model=CompletionOut,
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "Completions, at once or as server-sent events"},
        **responses(400, 401, 404, 429, 503),
    },
)
async def create_completion(
    request: Request, runtime: RuntimeDep, sampler: SamplerDep, body: CompletionCreate
) -> CompletionOut | EventStream:
    """Texts that begin with a prompt, in the voice of a persona."""
    completing = await completions.begin(runtime, sampler, body)
    if body.stream:
        return await stream(request, completion_events(sampler, completing))
    return await unless_hung_up(request, completions.complete(sampler, completing))


def _model(persona: Persona, version: ModelVersion) -> ModelOut:
    return ModelOut(id=persona.handle, created=int(version.created_at.timestamp()))
