"""Deliver a publication once: claim it, sample its draft, send, record. Only what is recorded counts as done."""

import secrets
from dataclasses import dataclass

import structlog
from sqlalchemy import Update, select, update

from app.errors import Problem
from app.jobs import is_outage
from app.personas.models import Persona
from app.posting import drafts
from app.posting.models import MOVES, Account, AccountKind, Draft, DraftState, Publication, PublicationState
from app.posting.platforms import PLATFORMS
from app.posting.platforms.platform import Platform
from app.runtime import Runtime
from app.sampling import service as sampling
from app.sampling.sampler import Sampler
from app.states import states_before

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A publication that is ours to send."""

    publication_id: int
    persona_id: int
    handle: str
    platform: Platform
    idempotency_key: str
    text: str | None


async def deliver(runtime: Runtime, sampler: Sampler, *, publication_id: int) -> None:
    """Send a publication that is due. Run again after a crash, it goes on with the draft that was recorded."""
    claim = await _claim(runtime, publication_id)
    if claim is None:
        return
    try:
        text = claim.text or await _write_draft(runtime, sampler, claim)
        remote_id = await claim.platform.publish(text, idempotency_key=claim.idempotency_key)
    except Problem as problem:
        if is_outage(problem):
            raise
        await _finish(runtime, publication_id, state=PublicationState.FAILED, error=problem.document())
        log.warning("publication.failed", publication_id=publication_id, problem=problem.type)
        return
    except Exception as error:
        if is_outage(error):
            raise
        log.exception("publication.broken", publication_id=publication_id)
        broken = Problem(f"It could not be posted ({type(error).__name__}).")
        await _finish(runtime, publication_id, state=PublicationState.FAILED, error=broken.document())
        return
    await _finish(runtime, publication_id, state=PublicationState.SENT, remote_id=remote_id)
    log.info("publication.sent", publication_id=publication_id)


async def _claim(runtime: Runtime, publication_id: int) -> Claim | None:
    """None when it is over or gone."""
    claim = _move(publication_id, to=PublicationState.SENDING)
    async with runtime.transaction() as session:
        publication = await session.scalar(claim.returning(Publication))
        if publication is None:
            return None
        account = await session.get_one(Account, publication.account_id)
        persona = await session.get_one(Persona, publication.persona_id)
        draft = None if publication.draft_id is None else await session.get_one(Draft, publication.draft_id)
    return Claim(
        publication_id=publication_id,
        persona_id=persona.id,
        handle=persona.handle,
        platform=PLATFORMS[AccountKind(account.kind)],
        idempotency_key=publication.idempotency_key,
        text=None if draft is None else draft.text,
    )


async def _write_draft(runtime: Runtime, sampler: Sampler, claim: Claim) -> str:
    """Sample the text and record it before anything is sent, so that a second attempt sends the same."""
    controls = {"temperature": sampling.TEMPERATURE, "max_characters": claim.platform.max_characters}
    async with runtime.transaction() as session:
        recent = await drafts.recent_texts(session, persona_id=claim.persona_id)
    spoken = await sampling.speak(
        runtime, sampler, handle=claim.handle, n=1, controls=controls, seed=secrets.randbelow(2**53), recent=recent
    )
    sentence = spoken.sentences[0]
    async with runtime.transaction() as session:
        locked = select(Publication).where(Publication.id == claim.publication_id).with_for_update()
        publication = await session.scalar(locked)
        if publication is None:
            raise Problem("The persona was deleted meanwhile.")
        if publication.draft_id is not None:
            # Another worker, that was thought dead, recorded its draft first: that is the one.
            return (await session.get_one(Draft, publication.draft_id)).text
        draft = Draft(
            persona_id=claim.persona_id,
            model_version_id=spoken.version.id,
            text=sentence.text,
            log_probability=sentence.log_probability,
            seed=spoken.seed,
            state=DraftState.APPROVED,
            created_at=runtime.clock(),
        )
        session.add(draft)
        await session.flush()
        publication.draft_id = draft.id
    return draft.text


async def _finish(
    runtime: Runtime,
    publication_id: int,
    *,
    state: PublicationState,
    remote_id: str | None = None,
    error: dict[str, object] | None = None,
) -> None:
    sent_at = runtime.clock() if state is PublicationState.SENT else None
    async with runtime.transaction() as session:
        finish = _move(publication_id, to=state)
        await session.execute(finish.values(remote_id=remote_id, error=error, sent_at=sent_at))


def _move(publication_id: int, *, to: PublicationState) -> Update:
    """The update that moves a publication to another state, if it may."""
    movable = Publication.state.in_(states_before(MOVES, to))
    return update(Publication).where(Publication.id == publication_id, movable).values(state=to)
