"""/api/v1/personas/{handle}/trainings and …/models"""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response, status
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import SessionDep
from app.pagination import Page, PageQuery, page_of
from app.personas.endpoints import PersonaDep
from app.problem_documents import responses
from app.runtime import RuntimeDep
from app.training import promotion, service
from app.training.models import ModelVersion, Training
from app.training.schemas import ModelOut, TrainingCreate, TrainingOut, TrainingSummary

router = APIRouter(prefix="/personas/{handle}", tags=["training"])

TrainingId = Annotated[int, Path(ge=1, lt=2**63)]


@router.post("/trainings", status_code=status.HTTP_202_ACCEPTED, responses=responses(401, 404, 409, 422))
async def request_training(
    session: SessionDep,
    runtime: RuntimeDep,
    request: Request,
    response: Response,
    persona: PersonaDep,
    body: TrainingCreate | None = None,
) -> TrainingOut:
    """Queue a training; a worker takes it up."""
    wanted = body or TrainingCreate()
    training = await service.request(
        session,
        persona_id=persona.id,
        preset=wanted.preset or service.DEFAULT_PRESET,
        minutes=wanted.minutes or runtime.settings.training_minutes,
        seed=wanted.seed,
        now=runtime.clock(),
    )
    response.headers["Location"] = str(
        request.app.url_path_for("read_training", handle=persona.handle, training_id=training.id)
    )
    return await _shown(session, training)


@router.get("/trainings", responses=responses(401, 404, 422))
async def list_trainings(session: SessionDep, persona: PersonaDep, page: PageQuery) -> Page[TrainingSummary]:
    """All trainings of a persona, newest first."""
    query = select(Training).where(Training.persona_id == persona.id)
    rows, next_cursor = await page_of(session, query, key=Training.id, page=page)
    return Page(items=[TrainingSummary.model_validate(row) for row in rows], next_cursor=next_cursor)


@router.get("/trainings/{training_id}", responses=responses(401, 404))
async def read_training(session: SessionDep, persona: PersonaDep, training_id: TrainingId) -> TrainingOut:
    """How far a training is, epoch by epoch."""
    return await _shown(session, await service.find(session, persona_id=persona.id, training_id=training_id))


@router.post("/trainings/{training_id}/cancel", responses=responses(401, 404))
async def cancel_training(
    session: SessionDep, runtime: RuntimeDep, persona: PersonaDep, training_id: TrainingId
) -> TrainingOut:
    """Stop a training. One that is over stays as it ended."""
    training = await service.cancel(session, persona_id=persona.id, training_id=training_id, now=runtime.clock())
    return await _shown(session, training)


@router.get("/models", responses=responses(401, 404, 422))
async def list_models(session: SessionDep, persona: PersonaDep, page: PageQuery) -> Page[ModelOut]:
    """The model versions of a persona with their perplexities, newest first."""
    query = select(ModelVersion).where(ModelVersion.persona_id == persona.id)
    rows, next_cursor = await page_of(session, query, key=ModelVersion.id, page=page)
    served = await promotion.promoted(session, persona_id=persona.id)
    evaluations = await service.evaluations_of(session, list(rows))
    items = [
        ModelOut.of(row, promoted=served is not None and row.id == served.id, evaluations=evaluations[row.id])
        for row in rows
    ]
    return Page(items=items, next_cursor=next_cursor)


async def _shown(session: AsyncSession, training: Training) -> TrainingOut:
    return TrainingOut.of(
        training,
        epochs=await service.epochs_of(session, training_id=training.id),
        model=await service.model_of(session, training_id=training.id),
    )
