"""Personas over HTTP."""

import httpx
import pytest

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
