"""Ask for trainings, decide when a corpus deserves one, record what comes of them."""

import secrets
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.corpora import service as corpora
from app.jobs import enqueue
from app.personas.models import Persona
from app.states import states_before
from app.training import promotion
from app.training.errors import EmptyPersona, TrainingNotFound, UnknownPreset
from app.training.models import MOVES, Epoch, Evaluation, ModelVersion, Training, TrainingStatus
from ml import preset as presets

# Needs no gradient steps: it gives a new persona its voice within seconds.
INSTANT_PRESET = "kneser-ney"
DEFAULT_PRESET = "lstm-kn5"
# A corpus that grew by less than this since the last training is not worth another.
GROWTH_WORTH_A_TRAINING = 0.10

ACTIVE = (TrainingStatus.QUEUED, TrainingStatus.RUNNING)


async def request(
    session: AsyncSession, *, persona_id: int, preset: str, minutes: float, seed: int | None, now: datetime
) -> Training:
    """Queue a training. Raises UnknownPreset, EmptyPersona."""
    if preset not in presets.names():
        raise UnknownPreset.at("/preset", f"There is no preset {preset!r}; there are: {', '.join(presets.names())}.")
    corpus_posts = await corpora.count_tweets(session, persona_id=persona_id)
    if corpus_posts == 0:
        raise EmptyPersona("Upload posts first, and wait until their import is finished.")
    training = Training(
        persona_id=persona_id,
        preset=preset,
        minutes=minutes,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        status=TrainingStatus.QUEUED,
        corpus_posts=corpus_posts,
        created_at=now,
    )
    session.add(training)
    await session.flush()
    # The lock: trainings of one persona run in turn, so that each is compared with what the one before it left.
    await enqueue(session, "training.run", lock=f"training:{persona_id}", training_id=training.id)
    return training


async def consider(session: AsyncSession, *, persona_id: int, minutes: float, now: datetime) -> Training | None:
    """Queue the training that this corpus deserves next, if any: at once a model without gradient steps, then the
    recurrent one, and the recurrent one again whenever the corpus has grown enough."""
    # One consideration of a persona at a time, or two of them would both see that nothing is queued.
    if await session.get(Persona, persona_id, with_for_update={"key_share": True}) is None:
        return None
    busy = select(Training.id).where(Training.persona_id == persona_id, Training.status.in_(ACTIVE)).limit(1)
    corpus_posts = await corpora.count_tweets(session, persona_id=persona_id)
    if corpus_posts == 0 or await session.scalar(busy) is not None:
        return None
    speechless = await promotion.promoted(session, persona_id=persona_id) is None
    preset = INSTANT_PRESET if speechless else DEFAULT_PRESET
    # Whether it succeeded or not: what failed on these posts would fail again.
    tried_with = await session.scalar(
        select(func.max(Training.corpus_posts)).where(Training.persona_id == persona_id, Training.preset == preset)
    )
    if tried_with is not None and corpus_posts < tried_with * (1 + GROWTH_WORTH_A_TRAINING):
        return None
    return await request(session, persona_id=persona_id, preset=preset, minutes=minutes, seed=None, now=now)


async def find(session: AsyncSession, *, persona_id: int, training_id: int) -> Training:
    """One training of a persona. Raises TrainingNotFound."""
    training = await session.scalar(
        select(Training).where(Training.id == training_id, Training.persona_id == persona_id)
    )
    if training is None:
        raise TrainingNotFound(f"This persona has no training {training_id}.")
    return training


async def cancel(session: AsyncSession, *, persona_id: int, training_id: int, now: datetime) -> Training:
    """Stop a training that is not over; one that is stays as it ended. Its worker notices within a second or two."""
    await find(session, persona_id=persona_id, training_id=training_id)
    await session.execute(
        update(Training)
        .where(Training.id == training_id, Training.status.in_(states_before(MOVES, TrainingStatus.CANCELLED)))
        .values(status=TrainingStatus.CANCELLED, finished_at=now, remaining_seconds=None)
    )
    # The corpus may have grown while this one was under way.
    await enqueue(session, "training.consider", persona_id=persona_id)
    return await find(session, persona_id=persona_id, training_id=training_id)


async def epochs_of(session: AsyncSession, *, training_id: int) -> list[Epoch]:
    """The epochs of a training so far, in order."""
    return list(await session.scalars(select(Epoch).where(Epoch.training_id == training_id).order_by(Epoch.epoch)))


async def model_of(session: AsyncSession, *, training_id: int) -> ModelVersion | None:
    """The model version that a training gave."""
    version: ModelVersion | None = await session.scalar(
        select(ModelVersion).where(ModelVersion.training_id == training_id)
    )
    return version


async def newest_model(session: AsyncSession, *, persona_id: int) -> ModelVersion | None:
    """The model version with the highest number."""
    newest = select(ModelVersion).where(ModelVersion.persona_id == persona_id).order_by(ModelVersion.number.desc())
    version: ModelVersion | None = await session.scalar(newest.limit(1))
    return version


async def evaluations_of(session: AsyncSession, versions: list[ModelVersion]) -> dict[int, list[Evaluation]]:
    """The evaluations of each version on the snapshot that it was trained on, by version id."""
    found: dict[int, list[Evaluation]] = {version.id: [] for version in versions}
    own = {version.id: version.snapshot_hash for version in versions}
    query = select(Evaluation).where(Evaluation.model_version_id.in_(own)).order_by(Evaluation.id)
    for evaluation in await session.scalars(query):
        if evaluation.snapshot_hash == own[evaluation.model_version_id]:
            found[evaluation.model_version_id].append(evaluation)
    return found


def time_left(training: Training) -> str:
    """In words: the remaining time of a training that runs, else its status."""
    if training.status != TrainingStatus.RUNNING or training.remaining_seconds is None:
        return str(training.status)
    minutes, seconds = divmod(int(training.remaining_seconds), 60)
    return f"about {minutes}:{seconds:02d} left"
