"""Every error is a problem document, a bug too."""

import httpx
import pytest
from fastapi import FastAPI

pytestmark = pytest.mark.anyio


async def test_unknown_paths_and_methods_are_problem_documents(api: httpx.AsyncClient) -> None:
    for answer, status in ((await api.get("/nowhere"), 404), (await api.put("/api/v1/personas"), 405)):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status


async def test_broken_json_is_told_with_its_place(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/personas", content=b'{"handle": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mynah:problem:invalid-input"


async def test_an_unknown_field_is_refused_by_name(api: httpx.AsyncClient) -> None:
    answer = await api.post("/api/v1/personas", json={"handle": "tess", "name": "Tess", "nmae": "x"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/nmae"]


async def test_a_bug_shows_a_request_id_and_nothing_else(app: FastAPI, api: httpx.AsyncClient) -> None:
    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("the password is hunter2")

    answer = await api.get("/bug")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] in answer.json()["detail"]


async def test_a_body_that_is_too_large_is_refused_while_it_arrives(api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.post(
        f"/api/v1/personas/{persona}/sources", files={"file": ("big.txt", b"A line.\n" * 1_000_000)}
    )
    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (await api.get(f"/api/v1/personas/{persona}/sources")).json()["items"] == []


async def test_only_an_upload_may_be_large_whatever_a_body_calls_itself(api: httpx.AsyncClient) -> None:
    """Other routes read the whole body into memory before they look at the key."""
    body = b"x" * 2_000_000
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for path in ("/api/v1/attribute", "/api/v1/personas/tess/sentences", "/v1/completions"):
        assert (await api.post(path, content=body, headers=headers)).status_code == 413
    assert (await api.post("/api/v1/personas/tess/sources", content=body, headers=headers)).status_code != 413
