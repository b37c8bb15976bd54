"""The public page."""

import re

import httpx
import pytest

from app.posting.models import Account, AccountKind, Draft, DraftState, Publication, PublicationState
from app.runtime import Runtime
from tests.app.conftest import SettableClock

pytestmark = pytest.mark.anyio


async def publish(runtime: Runtime, clock: SettableClock, texts: list[str]) -> None:
    """Posts on @tess's timeline, as a delivery leaves them."""
    async with runtime.transaction() as session:
        account = Account(persona_id=1, kind=AccountKind.TIMELINE, name="timeline", created_at=clock())
        session.add(account)
        await session.flush()
        for number, text in enumerate(texts):
            draft = Draft(
                persona_id=1, text=text, log_probability=-1.0, seed=1, state=DraftState.APPROVED, created_at=clock()
            )
            session.add(draft)
            await session.flush()
            session.add(
                Publication(
                    persona_id=1,
                    account_id=account.id,
                    draft_id=draft.id,
                    state=PublicationState.SENT,
                    idempotency_key=str(number),
                    due_at=clock(),
                    sent_at=clock(),
                )
            )


async def test_the_timeline_is_open_to_everyone_and_says_that_it_is_a_bot(api: httpx.AsyncClient, persona: str) -> None:
    del api.headers["Authorization"]
    page = await api.get("/@Tess")
    assert page.status_code == 200
    assert "This is a bot." in page.text
    assert "Nothing has been posted yet." in page.text


async def test_whatever_a_post_or_a_bio_holds_stays_text(
    api: httpx.AsyncClient, persona: str, runtime: Runtime, clock: SettableClock
) -> None:
    await api.patch("/api/v1/personas/tess", json={"bio": "<img src=x onerror=alert(1)>"})
    await publish(runtime, clock, ["<script>alert(2)</script>", '"><svg onload=alert(3)>'])
    page = await api.get("/@tess")
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in page.text
    assert not re.search(r"<(script|img|svg)", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_older_pages_follow_without_gap_or_overlap(
    api: httpx.AsyncClient, persona: str, runtime: Runtime, clock: SettableClock
) -> None:
    await publish(runtime, clock, [f"Post number {number}." for number in range(70)])
    first = await api.get("/@tess")
    (older,) = re.findall(r'href="([^"]*\?before=[^"]*)"', first.text)
    second = await api.get(older)
    numbers = [int(found) for page in (first, second) for found in re.findall(r"Post number (\d+)", page.text)]
    assert numbers == list(range(69, -1, -1))
    assert "?before=" not in second.text


async def test_an_unknown_handle_has_a_page_that_says_so(public: httpx.AsyncClient) -> None:
    page = await public.get("/@nobody")
    assert page.status_code == 404
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Nobody of that name" in page.text
