"""A persona to play with: made, fed and shown while the service runs."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from fastapi import FastAPI
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress, TaskID
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.api_keys import admin_key, admin_key_path
from app.corpora import service as corpora
from app.corpora.importers import Format
from app.corpora.models import Source, SourceStatus
from app.corpora.stdlib_docstrings import sentences
from app.errors import InvalidInput, Problem
from app.foreground import follow, progress_bar
from app.personas import service as personas
from app.personas.errors import PersonaNotFound
from app.personas.models import Persona
from app.personas.schemas import Handle
from app.runtime import Runtime
from app.sampling import service as sampling
from app.sampling.errors import NoModelYet
from app.settings import Settings
from app.training import promotion
from app.training.models import ModelVersion, Training, TrainingStatus
from app.training.service import ACTIVE, time_left

DOCSTRINGS_HANDLE = "pydoc"


async def bring_up(app: FastAPI, settings: Settings, *, corpus: Path | None, handle: str | None, out: Console) -> None:
    """Make the persona unless it is there, feed it unless it has this corpus, print where to look, follow along."""
    runtime: Runtime = app.state.runtime
    persona = await ensure_persona(runtime, handle=handle or _handle_for(corpus))
    _print_where_to_look(settings, persona, out)
    await _feed(runtime, persona, corpus, out)
    await _first_words(app, persona, out)
    await _follow_trainings(app, persona, out)


async def ensure_persona(runtime: Runtime, *, handle: str) -> Persona:
    """The persona of that handle, made if need be. Raises InvalidInput."""
    try:
        checked = TypeAdapter(Handle).validate_python(handle)
    except ValidationError as error:
        raise InvalidInput.at("/handle", f"{handle!r} is no handle: at most 30 letters, digits and _.") from error
    async with runtime.transaction() as session:
        try:
            return await personas.find(session, handle=checked)
        except PersonaNotFound:
            return await personas.create(session, handle=checked, name=checked, now=runtime.clock())


def _handle_for(corpus: Path | None) -> str:
    """A handle made of the file's name."""
    if corpus is None:
        return DOCSTRINGS_HANDLE
    letters = "".join(c if c.isascii() and c.isalnum() else "_" for c in corpus.name.split(".")[0])
    return letters.strip("_")[:30] or "persona"


def _print_where_to_look(settings: Settings, persona: Persona, out: Console) -> None:
    base = f"http://{settings.host}:{settings.port}"
    out.print()
    out.print(f"[bold]Mynah is up.[/] @{persona.handle} is the persona to play with; Ctrl-C stops everything.")
    out.print(f"  timeline   {base}/@{persona.handle}", highlight=False)
    out.print(f"  API        {base}/api/docs", highlight=False)
    out.print(f"  admin key  {admin_key(settings)}", highlight=False, markup=False, soft_wrap=True)
    if settings.admin_key is None:
        out.print(f"             (also in {admin_key_path(settings)})", highlight=False, markup=False, soft_wrap=True)
    out.print()


async def _feed(runtime: Runtime, persona: Persona, corpus: Path | None, out: Console) -> None:
    """Upload the corpus, unless this very file is in already, and wait until it has been read."""
    with tempfile.TemporaryDirectory(prefix="mynah-demo-") as folder:
        if corpus is None:
            file = Path(folder) / "docstrings.txt"
            await asyncio.to_thread(_write_docstrings, file)
            name, file_format = "docstrings of Python's standard library", Format.PLAIN_TEXT
        else:
            file, name, file_format = corpus, corpus.name, None
        source = await _known_source(runtime, persona, file)
        if source is None:
            out.print(f"Importing {name} …", highlight=False, markup=False)
            source = await corpora.receive_upload(
                runtime, handle=persona.handle, file=file, filename=name, file_format=file_format
            )
        source_id = source.id

    async def look() -> Source:
        async with runtime.transaction() as session:
            return await corpora.find_source(session, persona_id=persona.id, source_id=source_id)

    over = {SourceStatus.IMPORTED, SourceStatus.FAILED}
    done = await follow(look, until=lambda row: row.status in over, show=lambda row: None)
    if done.error is not None:
        raise Problem.retold(done.error)
    left_out = sum(done.excluded.values())
    out.print(
        f"Corpus: {done.stored:,} posts stored, {done.duplicates:,} duplicates, {left_out:,} left out.",
        highlight=False,
    )


def _write_docstrings(file: Path) -> None:
    with file.open("w", encoding="utf-8") as target:
        target.writelines(f"{sentence}\n" for sentence in sentences())


async def _known_source(runtime: Runtime, persona: Persona, file: Path) -> Source | None:
    """A source of this very content that has not failed."""
    file_hash = await asyncio.to_thread(lambda: hashlib.sha256(file.read_bytes()).hexdigest())
    query = select(Source).where(
        Source.persona_id == persona.id, Source.file_hash == file_hash, Source.status != SourceStatus.FAILED
    )
    async with runtime.transaction() as session:
        source: Source | None = await session.scalar(query.limit(1))
        return source


async def _first_words(app: FastAPI, persona: Persona, out: Console) -> None:
    """Wait for a model and let it speak."""
    runtime: Runtime = app.state.runtime

    async def look() -> tuple[ModelVersion | None, Training | None]:
        async with runtime.transaction() as session:
            return await promotion.promoted(session, persona_id=persona.id), await _newest_training(session, persona)

    def decided(seen: tuple[ModelVersion | None, Training | None]) -> bool:
        version, training = seen
        return version is not None or (
            training is not None and training.status in {TrainingStatus.FAILED, TrainingStatus.CANCELLED}
        )

    version, training = await follow(look, until=decided, show=lambda seen: None)
    if version is None:
        if training is not None and training.error is not None:
            raise Problem.retold(training.error)
        raise NoModelYet(f"The training of @{persona.handle} was cancelled, so it has nothing to say yet.")
    await _speak(app, persona, out)


async def _newest_training(session: AsyncSession, persona: Persona) -> Training | None:
    query = select(Training).where(Training.persona_id == persona.id).order_by(Training.id.desc()).limit(1)
    training: Training | None = await session.scalar(query)
    return training


async def _speak(app: FastAPI, persona: Persona, out: Console, *, n: int = 3) -> None:
    controls = {"temperature": sampling.TEMPERATURE, "max_characters": 200}
    runtime: Runtime = app.state.runtime
    spoken = await sampling.speak(runtime, app.state.sampler, handle=persona.handle, n=n, controls=controls, seed=None)
    out.print(f"Model {spoken.version.number} ({spoken.version.preset}) says:", highlight=False)
    for sentence in spoken.sentences:
        out.print(f"  “{sentence.text}”", markup=False, highlight=False, soft_wrap=True)
    out.print()


async def _follow_trainings(app: FastAPI, persona: Persona, out: Console) -> None:
    """Show each training that runs, and let every newly promoted model speak. Ends with the service."""
    runtime: Runtime = app.state.runtime
    async with runtime.transaction() as session:
        heard = await promotion.promoted(session, persona_id=persona.id)
    with progress_bar("{task.percentage:>3.0f}%  {task.fields[note]}", out) as progress:
        bars: dict[int, TaskID] = {}
        while True:
            async with runtime.transaction() as session:
                version = await promotion.promoted(session, persona_id=persona.id)
                training = await _newest_training(session, persona)
            if training is not None:
                _show_training(progress, bars, training)
            if version is not None and heard is not None and version.id != heard.id:
                heard = version
                await _speak(app, persona, out)
            await asyncio.sleep(1)


def _show_training(progress: Progress, bars: dict[int, TaskID], training: Training) -> None:
    if training.id not in bars:
        bars[training.id] = progress.add_task(f"Training {training.preset}", total=1.0, note="")
    progress.update(bars[training.id], completed=training.progress, note=time_left(training))
    if training.status not in ACTIVE:
        progress.stop_task(bars[training.id])
