"""Take an upload, import it, tell how far it is. An import is one transaction: all of a file is stored, or nothing."""

import asyncio
import hashlib
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import structlog
from sqlalchemy import Update, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.corpora.detect import detect
from app.corpora.errors import EmptyCorpus, SourceNotFound
from app.corpora.importers import IMPORTERS, Excluded, Format, Post
from app.corpora.models import MOVES, Source, SourceStatus, Tweet
from app.errors import Problem
from app.jobs import enqueue, is_outage
from app.personas import service as personas
from app.runtime import Runtime
from app.states import states_before

log = structlog.get_logger()

POSTS_A_BATCH = 2000

INSERT_NEW_TWEETS = text(
    """
    INSERT INTO tweets (persona_id, source_id, identity, text, posted_at)
    SELECT :persona_id, :source_id, identity, post, posted_at
    FROM unnest(CAST(:identities AS text[]), CAST(:posts AS text[]), CAST(:posted_at AS timestamptz[]))
         AS batch (identity, post, posted_at)
    ON CONFLICT (persona_id, identity) DO NOTHING
    """
)


@dataclass
class Tally:
    """What an import has found so far."""

    stored: int = 0
    duplicates: int = 0
    excluded: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.stored + self.duplicates + self.excluded.total()

    def columns(self) -> dict[str, int | dict[str, int]]:
        """As the columns of a source."""
        return {
            "read": self.read,
            "stored": self.stored,
            "duplicates": self.duplicates,
            "excluded": dict(self.excluded),
        }


async def receive_upload(
    runtime: Runtime, *, handle: str, file: Path, filename: str, file_format: Format | None
) -> Source:
    """Keep an uploaded file and queue its import, in that order, so that no job looks for a file that is not there.

    `file` stays the caller's. Raises PersonaNotFound and what `detect` raises, before anything is stored.
    """
    async with runtime.transaction() as session:
        persona = await personas.find(session, handle=handle)
    file_format = file_format or await asyncio.to_thread(detect, file)
    upload_key = f"uploads/{persona.id}/{secrets.token_hex(16)}"
    file_bytes, file_hash = await asyncio.to_thread(_measure, file)
    await asyncio.to_thread(runtime.store.put_file, file, upload_key)
    async with runtime.transaction() as session:
        source = Source(
            persona_id=persona.id,
            filename=filename,
            format=file_format,
            file_bytes=file_bytes,
            file_hash=file_hash,
            upload_key=upload_key,
            status=SourceStatus.QUEUED,
            created_at=runtime.clock(),
        )
        session.add(source)
        await session.flush()
        await enqueue(session, "corpora.import", source_id=source.id)
    return source


async def find_source(session: AsyncSession, *, persona_id: int, source_id: int) -> Source:
    """One source of a persona. Raises SourceNotFound."""
    source = await session.scalar(select(Source).where(Source.id == source_id, Source.persona_id == persona_id))
    if source is None:
        raise SourceNotFound(f"This persona has no source {source_id}.")
    return source


async def count_tweets(session: AsyncSession, *, persona_id: int) -> int:
    """How many posts the corpus of a persona has."""
    return await session.scalar(select(func.count()).select_from(Tweet).where(Tweet.persona_id == persona_id)) or 0


async def import_source(runtime: Runtime, *, source_id: int) -> None:
    """Read a queued source into its persona's corpus. Run twice, it finds nothing left to do."""
    source = await _claim(runtime, source_id)
    if source is None:
        return
    tally = Tally()
    try:
        with tempfile.TemporaryDirectory(prefix="mynah-import-") as folder:
            file = Path(folder) / "upload"
            await asyncio.to_thread(runtime.store.get_file, source.upload_key, file)
            await _store(runtime, source=source, file=file, tally=tally)
    except Problem as problem:
        await _fail(runtime, source_id=source_id, problem=problem)
        log.warning("import.failed", source_id=source_id, problem=problem.type)
    except FileNotFoundError:
        gone = Problem("The uploaded file is no longer in the store; upload it again.")
        await _fail(runtime, source_id=source_id, problem=gone)
        log.warning("import.failed", source_id=source_id, problem="upload gone")
    except Exception as error:
        if is_outage(error):
            raise
        # A full disk, say: no row may be left importing for ever.
        log.exception("import.broken", source_id=source_id)
        await _fail(
            runtime, source_id=source_id, problem=Problem(f"It could not be imported ({type(error).__name__}).")
        )
    else:
        log.info("import.finished", source_id=source_id, read=tally.read, stored=tally.stored)
    await asyncio.to_thread(runtime.store.remove, source.upload_key)


def _move(source_id: int, *, to: SourceStatus) -> Update:
    """The update that moves a source to another status, if it may."""
    return update(Source).where(Source.id == source_id, Source.status.in_(states_before(MOVES, to))).values(status=to)


async def _claim(runtime: Runtime, source_id: int) -> Source | None:
    async with runtime.transaction() as session:
        claim = _move(source_id, to=SourceStatus.IMPORTING)
        source: Source | None = await session.scalar(claim.returning(Source))
        return source


async def _store(runtime: Runtime, *, source: Source, file: Path, tally: Tally) -> None:
    """All of the file in one transaction. Raises Problem, and then nothing was stored."""
    entries = IMPORTERS[Format(source.format)](file)
    async with runtime.transaction() as session:
        while batch := await asyncio.to_thread(_next_batch, entries):
            await _insert(session, source=source, batch=batch, tally=tally)
            await _show_progress(runtime, source_id=source.id, tally=tally)
        if tally.stored + tally.duplicates == 0:
            raise EmptyCorpus(
                f"The file holds no post to learn from ({tally.excluded.total()} entries were left out). "
                "Check that it is the right file and format.",
                excluded=dict(tally.excluded),
            )
        finish = _move(source.id, to=SourceStatus.IMPORTED)
        finished = await session.scalar(
            finish.values(finished_at=runtime.clock(), **tally.columns()).returning(Source.id)
        )
        if finished is None:
            # Another worker was faster, or the persona is gone; what we inserted goes with the transaction.
            raise Problem("This import was finished or removed elsewhere.")
        await enqueue(session, "training.consider", persona_id=source.persona_id)


def _next_batch(entries: Iterator[Post | Excluded]) -> list[Post | Excluded]:
    return list(islice(entries, POSTS_A_BATCH))


async def _insert(session: AsyncSession, *, source: Source, batch: Sequence[Post | Excluded], tally: Tally) -> None:
    posts = [entry for entry in batch if isinstance(entry, Post)]
    tally.excluded.update(entry.reason.value for entry in batch if isinstance(entry, Excluded))
    result = await session.execute(
        INSERT_NEW_TWEETS,
        {
            "persona_id": source.persona_id,
            "source_id": source.id,
            "identities": [_identity(post) for post in posts],
            "posts": [post.text for post in posts],
            "posted_at": [post.created_at for post in posts],
        },
    )
    stored: int = result.rowcount  # type: ignore[attr-defined]  # a cursor result, as for every INSERT
    tally.stored += stored
    tally.duplicates += len(posts) - stored


def _identity(post: Post) -> str:
    if post.external_id is not None:
        return f"id:{post.external_id}"
    return f"text:{hashlib.blake2b(post.text.encode(), digest_size=16).hexdigest()}"


async def _show_progress(runtime: Runtime, *, source_id: int, tally: Tally) -> None:
    """Let others see the counts while the import's own transaction is still open."""
    async with runtime.transaction() as session:
        shown = update(Source).where(Source.id == source_id, Source.status == SourceStatus.IMPORTING)
        await session.execute(shown.values(**tally.columns()))


async def _fail(runtime: Runtime, *, source_id: int, problem: Problem) -> None:
    """Say why; the counts return to zero, since nothing was stored."""
    async with runtime.transaction() as session:
        failed = _move(source_id, to=SourceStatus.FAILED)
        await session.execute(failed.values(error=problem.document(), finished_at=runtime.clock(), **Tally().columns()))


def _measure(file: Path) -> tuple[int, str]:
    """Size in bytes and SHA-256."""
    with file.open("rb") as stream:
        return file.stat().st_size, hashlib.file_digest(stream, "sha256").hexdigest()
