"""What a persona lets pass: shown, changed field by field, checked."""

import asyncio
from typing import Any

import httpx
import pytest

from app.personas.filter_policy import FilterPolicy

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess"
DEFAULTS = {
    "copied_words_limit": 8,
    "copied_share_limit": 0.8,
    "allow_repeats": False,
    "balanced": True,
    "allow_mentions": [],
    "blocked_words": [],
    "blocklist_languages": None,
}


async def changed(api: httpx.AsyncClient, **filters: Any) -> dict[str, Any]:
    answer = await api.patch(URL, json={"filters": filters})
    assert answer.status_code == 200, answer.text
    assert (await api.get(URL)).json() == answer.json()
    shown: dict[str, Any] = answer.json()["filters"]
    return shown


async def test_a_persona_begins_with_the_defaults(api: httpx.AsyncClient, persona: str) -> None:
    assert (await api.get(URL)).json()["filters"] == DEFAULTS
    assert FilterPolicy().model_dump() == DEFAULTS


async def test_a_field_that_is_left_out_stays_and_null_brings_its_default_back(
    api: httpx.AsyncClient, persona: str
) -> None:
    assert await changed(api, copied_words_limit=12, balanced=False) == DEFAULTS | {
        "copied_words_limit": 12,
        "balanced": False,
    }
    assert await changed(api, blocked_words=["blorg"]) == DEFAULTS | {
        "copied_words_limit": 12,
        "balanced": False,
        "blocked_words": ["blorg"],
    }
    assert await changed(api, copied_words_limit=None, blocked_words=[]) == DEFAULTS | {"balanced": False}
    assert (await api.patch(URL, json={"name": "Tessa"})).json()["filters"] == DEFAULTS | {"balanced": False}


async def test_names_languages_and_words_are_stored_in_one_form(api: httpx.AsyncClient, persona: str) -> None:
    shown = await changed(
        api,
        allow_mentions=["@Friend", "near@Home.example", "*"],
        blocklist_languages=["pt-BR", "EN"],
        blocked_words=["  two   words "],
    )
    assert shown["allow_mentions"] == ["friend", "near@home.example", "*"]
    assert shown["blocklist_languages"] == ["pt", "en"]
    assert shown["blocked_words"] == ["two words"]


async def test_a_persona_is_made_with_its_filters(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/personas", json={"handle": "a", "name": "A", "filters": {"balanced": False}})
    assert made.status_code == 201
    assert made.json()["filters"] == DEFAULTS | {"balanced": False}


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        (None, "/filters"),
        ([], "/filters"),
        ({"copied_words_limit": 1}, "/filters/copied_words_limit"),
        ({"copied_words_limit": "many"}, "/filters/copied_words_limit"),
        ({"copied_share_limit": 0}, "/filters/copied_share_limit"),
        ({"copied_share_limit": 1.1}, "/filters/copied_share_limit"),
        ({"copied_share_limit": "NaN"}, "/filters/copied_share_limit"),
        ({"allow_mentions": ["two names"]}, "/filters/allow_mentions/0"),
        ({"allow_mentions": ["ok", ""]}, "/filters/allow_mentions/1"),
        ({"blocked_words": [" "]}, "/filters/blocked_words/0"),
        ({"blocked_words": ["a\u0000b"]}, "/filters/blocked_words/0"),
        ({"blocked_words": ["\u200b"]}, "/filters/blocked_words/0"),
        ({"blocked_words": ["x" * 101]}, "/filters/blocked_words/0"),
        ({"blocked_words": ["x"] * 1001}, "/filters/blocked_words"),
        ({"blocklist_languages": ["tlh"]}, "/filters/blocklist_languages/0"),
        ({"censor": True}, "/filters/censor"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_field(
    filters: Any, pointer: str, api: httpx.AsyncClient, persona: str
) -> None:
    answer = await api.patch(URL, json={"filters": filters})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:mynah:problem:invalid-input")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await api.get(URL)).json()["filters"] == DEFAULTS


async def test_of_two_that_change_different_fields_at_once_none_undoes_the_others(
    api: httpx.AsyncClient, persona: str
) -> None:
    fields = {"balanced": False, "allow_repeats": True, "copied_words_limit": 5, "blocked_words": ["blorg"]}
    await asyncio.gather(*(api.patch(URL, json={"filters": {name: value}}) for name, value in fields.items()))
    assert (await api.get(URL)).json()["filters"] == DEFAULTS | fields
