"""Personas over HTTP."""

import asyncio

import httpx
import pytest
from sqlalchemy import text

from app.runtime import Runtime

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas"


async def test_a_persona_is_made_found_changed_and_deleted(api: httpx.AsyncClient) -> None:
    made = await api.post(URL, json={"handle": "Tess", "name": "Tess T.", "bio": "A bot.", "language": "en"})
    assert made.status_code == 201
    assert made.headers["Location"].endswith("/api/v1/personas/tess")
    assert (await api.get(made.headers["Location"])).json() == made.json()
    changed = await api.patch(f"{URL}/TESS", json={"name": "Tessa"})
    assert (changed.json()["name"], changed.json()["bio"]) == ("Tessa", "A bot.")
    assert (await api.delete(f"{URL}/tess")).status_code == 204
    assert (await api.get(f"{URL}/tess")).status_code == 404


async def test_a_handle_belongs_to_one_persona(api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.post(URL, json={"handle": persona.upper(), "name": "Another"})
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:mynah:problem:handle-taken"


@pytest.mark.parametrize("handle", ["", "two words", "über", "a" * 31, "../x", "x\u0000", "аdmin"])
async def test_a_handle_that_could_be_mistaken_is_refused_by_name(api: httpx.AsyncClient, handle: str) -> None:
    answer = await api.post(URL, json={"handle": handle, "name": "Tess"})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/handle"]


async def test_a_name_cannot_be_taken_away(api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.patch(f"{URL}/{persona}", json={"name": None})
    assert answer.status_code == 422
    assert (await api.get(f"{URL}/{persona}")).json()["name"] == "Tess"


async def test_an_unknown_handle_is_told_as_a_problem_document(api: httpx.AsyncClient) -> None:
    for answer in (
        await api.get(f"{URL}/nobody"),
        await api.delete(f"{URL}/nobody"),
        await api.post(f"{URL}/nobody/sentences", json={}),
        await api.post(f"{URL}/nobody/trainings", json={}),
        await api.post(f"{URL}/nobody/sources", files={"file": ("x.txt", b"Hello there.\n")}),
        await api.get(f"{URL}/nobody/posts"),
    ):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        body = answer.json()
        assert body["type"] == "urn:mynah:problem:persona-not-found"
        assert "@nobody" in body["detail"]
        assert body["instance"] == answer.request.url.path


async def test_pages_of_personas_follow_each_other_without_gap_or_overlap(api: httpx.AsyncClient) -> None:
    for number in range(5):
        await api.post(URL, json={"handle": f"p{number}", "name": "P"})
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        answer = await api.get(URL, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        seen += [item["handle"] for item in answer.json()["items"]]
        cursor = answer.json()["next_cursor"]
    assert seen == ["p4", "p3", "p2", "p1", "p0"]
    assert cursor is None


@pytest.mark.parametrize("cursor", ["%", "abc", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk"])
async def test_a_cursor_that_is_none_of_ours_is_refused(api: httpx.AsyncClient, cursor: str) -> None:
    answer = await api.get(URL, params={"cursor": cursor})
    assert answer.status_code == 422
    assert "cursor" in answer.json()["detail"]


async def test_a_persona_that_an_import_holds_is_deleted_when_that_is_finished(
    api: httpx.AsyncClient, persona: str, runtime: Runtime
) -> None:
    async with runtime.transaction() as session:
        # As an import does with its first post.
        await session.execute(text("SELECT id FROM personas FOR KEY SHARE"))
        answer = await api.delete(f"{URL}/{persona}")
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:mynah:problem:persona-busy")
    assert (await api.delete(f"{URL}/{persona}")).status_code == 204


@pytest.mark.parametrize("handle", ["a%00b", "%ED%A0%80", "a" * 90, "tess%20"])
async def test_what_is_no_handle_is_nobodys(api: httpx.AsyncClient, persona: str, handle: str) -> None:
    assert (await api.get(f"{URL}/{handle}")).status_code == 404
    assert (await api.get(f"/@{handle}")).status_code == 404


async def test_a_name_may_hold_any_script_and_is_never_blank(api: httpx.AsyncClient) -> None:
    assert (await api.post(URL, json={"handle": "a", "name": "Astro \U0001f469\u200d\U0001f680"})).status_code == 201
    assert (await api.post(URL, json={"handle": "b", "name": "   "})).status_code == 422


async def test_requests_that_race_with_a_deletion_are_told_and_never_crash(
    api: httpx.AsyncClient, persona: str
) -> None:
    schedule = {"cron": "0 9 * * *"}
    answers = await asyncio.gather(
        *(api.patch(f"{URL}/{persona}", json={"name": f"Tess {number}"}) for number in range(6)),
        api.delete(f"{URL}/{persona}"),
        *(api.post(f"{URL}/{persona}/schedules", json=schedule) for _ in range(6)),
        api.delete(f"{URL}/{persona}"),
        *(api.post(f"{URL}/{persona}/sources", files={"file": ("x.txt", b"Hello there.\n")}) for _ in range(6)),
    )
    assert {answer.status_code for answer in answers} <= {200, 201, 202, 204, 404, 409}
