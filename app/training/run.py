"""One training, end to end: claim it, freeze the corpus, follow the child, record the result.

Between these steps no transaction is open. Every write names the attempt that claimed the training, so that a worker
that was thought dead finds out that it lost it (`TakenAway`) and stops its child.
"""

import asyncio
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.errors import Problem
from app.jobs import enqueue, is_outage
from app.personas.models import Persona
from app.runtime import Runtime
from app.states import states_before
from app.training import promotion, snapshot
from app.training.errors import CorpusTooSmall, TrainingFailed
from app.training.models import MOVES, Epoch, Evaluation, ModelVersion, Training, TrainingStatus
from app.training.process import ChildCrashed, training_child
from ml import artifact
from ml.errors import ArtifactError
from ml.training import events

log = structlog.get_logger()

MAX_ATTEMPTS = 3

PROBLEMS: dict[str, type[Problem]] = {CorpusTooSmall.type: CorpusTooSmall}


class TakenAway(Exception):
    """The training was cancelled, deleted, or taken up by another worker."""


@dataclass
class Outcome:
    """What the child has reported for the record."""

    parameters: int = 0
    candidate: list[events.Evaluated] = field(default_factory=list)
    champion: list[events.Evaluated] = field(default_factory=list)


async def run(runtime: Runtime, *, training_id: int) -> None:
    """Train, and record what came of it. Run again after a crash, it resumes from the last checkpoint."""
    directory = runtime.settings.data_dir / "trainings" / str(training_id)
    training = await _claim(runtime, training_id)
    if training is None:
        # Cancelled or deleted while it waited: its posts have no business here any more.
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        return
    try:
        _check_attempts(training)
        await _freeze(runtime, training=training, directory=directory)
        outcome = await _follow(runtime, training=training, directory=directory)
        await _record(runtime, training=training, directory=directory, outcome=outcome)
    except asyncio.CancelledError:
        # This worker stops. The folder with the checkpoint stays, and the job is retried.
        await asyncio.shield(_release(runtime, training))
        raise
    except TakenAway:
        log.info("training.taken_away", training_id=training.id, attempt=training.attempt)
        if await _goes_on_elsewhere(runtime, training):
            return
    except Problem as problem:
        await _fail(runtime, training=training, problem=problem)
    except ChildCrashed as crash:
        log.warning("training.crashed", training_id=training.id, reason=str(crash))
        await _fail(runtime, training=training, problem=TrainingFailed(f"The training process ended early: {crash}"))
    except Exception as error:
        if is_outage(error):
            raise
        # A full disk, say: no row may be left running for ever.
        log.exception("training.broken", training_id=training.id)
        await _fail(runtime, training=training, problem=TrainingFailed(f"{type(error).__name__}: {error}"))
    await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


def _check_attempts(training: Training) -> None:
    """Raises TrainingFailed for a training that took every worker down with it."""
    if training.attempt > MAX_ATTEMPTS:
        raise TrainingFailed(f"It was started {MAX_ATTEMPTS} times and its worker died each time; see the log.")


async def _claim(runtime: Runtime, training_id: int) -> Training | None:
    """Take the training up. None when it is over: then there is nothing to do."""
    async with runtime.transaction() as session:
        claimable = states_before(MOVES, TrainingStatus.RUNNING)
        claim = update(Training).where(Training.id == training_id, Training.status.in_(claimable))
        training: Training | None = await session.scalar(
            claim.values(
                status=TrainingStatus.RUNNING,
                attempt=Training.attempt + 1,
                started_at=func.coalesce(Training.started_at, runtime.clock()),
            ).returning(Training)
        )
        return training


async def _goes_on_elsewhere(runtime: Runtime, training: Training) -> bool:
    """Whether another attempt works on it now, perhaps in this very folder."""
    async with runtime.transaction() as session:
        attempt = await session.scalar(
            select(Training.attempt).where(Training.id == training.id, Training.status == TrainingStatus.RUNNING)
        )
        return attempt is not None


async def _freeze(runtime: Runtime, *, training: Training, directory: Path) -> None:
    """Write what the child reads, unless an earlier attempt on this machine did."""
    request_file = directory / "request.json"
    if await asyncio.to_thread(request_file.exists):
        return
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    async with runtime.transaction() as session:
        champion = await promotion.promoted(session, persona_id=training.persona_id)
        snapshot_hash = await snapshot.write(session, persona_id=training.persona_id, directory=directory)
        training.champion_id = None if champion is None else champion.id
        training.snapshot_hash = snapshot_hash
        await _write(session, training, champion_id=training.champion_id, snapshot_hash=snapshot_hash)
    champion_folder = None
    if champion is not None:
        champion_folder = directory / "champion"
        if not await asyncio.to_thread(_fetch_champion, runtime, champion, champion_folder):
            # What is served is lost: whatever comes of this training replaces it.
            champion_folder = None
            training.champion_id = None
            await _write_alone(runtime, training, champion_id=None)
    request = {
        "preset": training.preset,
        "minutes": training.minutes,
        "epochs": None,
        "seed": training.seed,
        "champion": None if champion_folder is None else str(champion_folder.absolute()),
    }
    await asyncio.to_thread(_write_whole, request_file, json.dumps(request))


def _fetch_champion(runtime: Runtime, champion: ModelVersion, folder: Path) -> bool:
    """Whether the artifact of the served version is there and whole."""
    try:
        runtime.store.get_folder(champion.artifact_key, folder)
        artifact.load(folder)
    except (FileNotFoundError, ArtifactError) as error:
        log.warning("champion.lost", model_version_id=champion.id, reason=str(error))
        return False
    return True


def _write_whole(path: Path, content: str) -> None:
    """The request is written last and in one step: where it exists, the folder is complete."""
    arriving = path.with_suffix(".arriving")
    arriving.write_text(content)
    arriving.rename(path)


async def _follow(runtime: Runtime, *, training: Training, directory: Path) -> Outcome:
    """Run the child and write its progress. Raises TakenAway, Problem, ChildCrashed."""
    outcome = Outcome()
    async with training_child(directory) as child_events:
        async for event in child_events:
            await _on_event(runtime, training, event, outcome)
    return outcome


async def _on_event(runtime: Runtime, training: Training, event: events.Event | None, outcome: Outcome) -> None:
    match event:
        case None:
            await _write_alone(runtime, training)
        case events.Progress():
            await _write_alone(runtime, training, progress=event.progress, remaining_seconds=event.remaining_seconds)
        case events.Epoch():
            await _add_epoch(runtime, training, event)
        case events.Evaluated(model="champion"):
            outcome.champion.append(event)
        case events.Evaluated():
            outcome.candidate.append(event)
        case events.Finished():
            outcome.parameters = event.parameters
        case events.Failed():
            problem = PROBLEMS.get(event.type, TrainingFailed)
            raise problem(event.detail)


async def _write(session: AsyncSession, training: Training, **values: Any) -> None:
    """Set columns of the training, if it is still ours. Raises TakenAway."""
    ours = update(Training).where(
        Training.id == training.id,
        Training.attempt == training.attempt,
        Training.status == TrainingStatus.RUNNING,
    )
    # Without values it is a look whether it is ours, and a lock on the row for the rest of the transaction.
    written = await session.scalar(ours.values(values or {"attempt": training.attempt}).returning(Training.id))
    if written is None:
        raise TakenAway


async def _write_alone(runtime: Runtime, training: Training, **values: Any) -> None:
    async with runtime.transaction() as session:
        await _write(session, training, **values)


async def _add_epoch(runtime: Runtime, training: Training, event: events.Epoch) -> None:
    columns = {
        "train_perplexity": event.train_perplexity,
        "valid_perplexity": event.valid_perplexity,
        "seconds": event.seconds,
        "tokens_per_second": event.tokens_per_second,
    }
    async with runtime.transaction() as session:
        await _write(session, training)
        # A resumed training tells again what came after its checkpoint.
        row = insert(Epoch).values(training_id=training.id, epoch=event.epoch, **columns)
        await session.execute(row.on_conflict_do_update(index_elements=["training_id", "epoch"], set_=columns))


async def _record(runtime: Runtime, *, training: Training, directory: Path, outcome: Outcome) -> None:
    """Keep the artifact, then record it; an artifact that nobody recorded does not stay."""
    artifact_key = f"models/{training.persona_id}/{training.id}-{training.attempt}"
    await asyncio.to_thread(runtime.store.put_folder, directory / "artifact", artifact_key)
    try:
        await _record_version(runtime, training, outcome, artifact_key)
    except TakenAway:
        await asyncio.to_thread(runtime.store.remove, artifact_key)
        raise


async def _record_version(runtime: Runtime, training: Training, outcome: Outcome, artifact_key: str) -> None:
    """Version, evaluations, promotion and the end of the training, in one transaction."""
    async with runtime.transaction() as session:
        # The persona's row orders the numbering of its versions.
        await session.get(Persona, training.persona_id, with_for_update={"key_share": True})
        await _write(
            session,
            training,
            status=TrainingStatus.SUCCEEDED,
            progress=1.0,
            remaining_seconds=None,
            finished_at=runtime.clock(),
        )
        version = await _add_version(session, runtime, training, outcome, artifact_key)
        champion = None if training.champion_id is None else await session.get(ModelVersion, training.champion_id)
        await _add_evaluations(session, runtime, version=version, training=training, evaluated=outcome.candidate)
        if champion is not None:
            await _add_evaluations(session, runtime, version=champion, training=training, evaluated=outcome.champion)
        promoted = await promotion.challenge(
            session,
            challenger=version,
            challenger_bits_per_byte=_valid_bits_per_byte(outcome.candidate),
            champion=champion,
            champion_bits_per_byte=_valid_bits_per_byte(outcome.champion) if champion is not None else None,
            now=runtime.clock(),
        )
        await enqueue(session, "training.consider", persona_id=training.persona_id)
    log.info("training.finished", training_id=training.id, number=version.number, promoted=promoted)


async def _add_version(
    session: AsyncSession, runtime: Runtime, training: Training, outcome: Outcome, artifact_key: str
) -> ModelVersion:
    highest = select(func.max(ModelVersion.number)).where(ModelVersion.persona_id == training.persona_id)
    version = ModelVersion(
        persona_id=training.persona_id,
        training_id=training.id,
        number=(await session.scalar(highest) or 0) + 1,
        preset=training.preset,
        parameters=outcome.parameters,
        artifact_key=artifact_key,
        snapshot_hash=training.snapshot_hash or "",
        created_at=runtime.clock(),
    )
    session.add(version)
    await session.flush()
    return version


async def _add_evaluations(
    session: AsyncSession,
    runtime: Runtime,
    *,
    version: ModelVersion,
    training: Training,
    evaluated: list[events.Evaluated],
) -> None:
    for event in evaluated:
        row = insert(Evaluation).values(
            model_version_id=version.id,
            snapshot_hash=training.snapshot_hash or "",
            split=event.split,
            nats=event.nats,
            tokens=event.tokens,
            bytes=event.bytes,
            perplexity=event.perplexity,
            bits_per_byte=event.bits_per_byte,
            created_at=runtime.clock(),
        )
        # A champion may meet a second challenger on the same snapshot: its figures there are known.
        await session.execute(row.on_conflict_do_nothing())


def _valid_bits_per_byte(evaluated: list[events.Evaluated]) -> float:
    for event in evaluated:
        if event.split == "valid":
            return event.bits_per_byte
    raise TrainingFailed("The training process ended without an evaluation on the validation posts.")


async def _fail(runtime: Runtime, *, training: Training, problem: Problem) -> None:
    try:
        async with runtime.transaction() as session:
            await _write(
                session,
                training,
                status=TrainingStatus.FAILED,
                error=problem.document(),
                remaining_seconds=None,
                finished_at=runtime.clock(),
            )
            # The corpus may have grown meanwhile, and nothing was considered while this one was under way.
            await enqueue(session, "training.consider", persona_id=training.persona_id)
    except TakenAway:
        log.info("training.taken_away", training_id=training.id, attempt=training.attempt)
    else:
        log.warning("training.failed", training_id=training.id, problem=problem.type)


async def _release(runtime: Runtime, training: Training) -> None:
    """Let go: the training waits for the next worker, and this attempt does not count."""
    try:
        await _write_alone(runtime, training, status=TrainingStatus.QUEUED, attempt=training.attempt - 1)
    except TakenAway:
        log.info("training.taken_away", training_id=training.id, attempt=training.attempt)
