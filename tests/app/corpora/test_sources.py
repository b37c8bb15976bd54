"""Sources over HTTP: from the upload to the corpus, or to a reason."""

import io
import json
import zipfile

import httpx
import pytest
from sqlalchemy import func, select

from app.corpora import service
from app.corpora.models import Source, SourceStatus, Tweet
from app.runtime import Runtime
from tests.app.conftest import RunJobs, Upload, jsonl, posts

pytestmark = pytest.mark.anyio

URL = "/api/v1/personas/tess/sources"


async def stored_tweets(runtime: Runtime) -> int:
    async with runtime.transaction() as session:
        return await session.scalar(select(func.count()).select_from(Tweet)) or 0


async def test_an_upload_is_queued_imported_and_counted(
    api: httpx.AsyncClient, upload: Upload, run_jobs: RunJobs, runtime: Runtime
) -> None:
    lines = ["Fish &amp; chips.", "RT @somebody: Not mine.", "https://t.co/abc", "", "Fish &amp; chips.", "Another."]
    source = await upload("\n".join(lines).encode(), "posts.txt")
    assert (source["status"], source["format"]) == ("queued", "plain_text")
    await run_jobs("default")
    seen = (await api.get(f"{URL}/{source['id']}")).json()
    assert seen["status"] == "imported"
    assert seen["counts"] == {
        "read": 6,
        "stored": 2,
        "duplicates": 1,
        "excluded": {"repost": 1, "nothing_left_after_cleaning": 1, "empty": 1},
    }
    async with runtime.transaction() as session:
        assert set(await session.scalars(select(Tweet.text))) == {"Fish & chips.", "Another."}


async def test_the_same_file_again_stores_nothing(upload: Upload, run_jobs: RunJobs, api: httpx.AsyncClient) -> None:
    first, second = await upload(jsonl(posts(50))), await upload(jsonl(posts(50)))
    await run_jobs("default")
    counts = [(await api.get(f"{URL}/{source['id']}")).json()["counts"] for source in (first, second)]
    assert [(count["stored"], count["duplicates"]) for count in counts] == [(50, 0), (0, 50)]


async def test_the_same_id_is_the_same_post(upload: Upload, run_jobs: RunJobs, runtime: Runtime) -> None:
    rows = [
        {"id": "1", "text": "As it was."},
        {"id": "1", "text": "As it was edited."},
        {"id": 2, "text": "As it was."},
    ]
    await upload("".join(json.dumps(row) + "\n" for row in rows).encode())
    await run_jobs("default")
    assert await stored_tweets(runtime) == 2


@pytest.mark.parametrize(
    ("content", "problem", "hint"),
    [
        (b'{"text": "Good."}\n["text"]\n', "malformed-file", "line 2"),
        (b'{"text": "Good."}\n{"text": \n', "malformed-file", "line 2"),
        (b"Good.\n" * 3000 + b"Bad: \xff\xfe.\n", "broken-encoding", "3001"),
        (b"Good.\n" + b"x" * 2_000_000, "line-too-long", "line 2"),
        (b"RT @somebody: Not mine.\n", "empty-corpus", "left out"),
    ],
)
async def test_what_cannot_be_read_fails_with_a_reason_and_leaves_nothing(
    content: bytes, problem: str, hint: str, upload: Upload, run_jobs: RunJobs, runtime: Runtime, api: httpx.AsyncClient
) -> None:
    source = await upload(content)
    await run_jobs("default")
    seen = (await api.get(f"{URL}/{source['id']}")).json()
    assert seen["status"] == "failed"
    assert seen["error"]["type"] == f"urn:mynah:problem:{problem}"
    assert hint in seen["error"]["detail"].lower()
    assert seen["counts"]["stored"] == 0
    assert await stored_tweets(runtime) == 0


@pytest.mark.parametrize(
    ("content", "status", "problem"),
    [
        (b"", 422, "empty-corpus"),
        (b"\n \n", 422, "empty-corpus"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 415, "unknown-format"),
        (b"PK\x03\x04 and no more of it", 422, "corrupt-archive"),
    ],
)
async def test_what_is_no_corpus_is_refused_at_once(
    content: bytes, status: int, problem: str, api: httpx.AsyncClient, persona: str
) -> None:
    answer = await api.post(URL, files={"file": ("x", content)})
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:mynah:problem:{problem}")
    assert (await api.get(URL)).json()["items"] == []


async def test_a_zip_bomb_is_refused(api: httpx.AsyncClient, persona: str, run_jobs: RunJobs, runtime: Runtime) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/js/tweets/2017_06.js", b"Grailbird.data.tweets_2017_06 = [" + b" " * 60_000_000)
    answer = await api.post(URL, files={"file": ("bomb.zip", bomb.getvalue())})
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:mynah:problem:archive-too-large"
    assert await stored_tweets(runtime) == 0


async def test_an_unknown_format_by_name_is_refused(api: httpx.AsyncClient, persona: str) -> None:
    answer = await api.post(URL, files={"file": ("x.txt", b"Hello there.\n")}, data={"format": "docx"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/format"


async def test_an_import_whose_worker_died_is_done_again_from_the_start(
    upload: Upload, run_jobs: RunJobs, runtime: Runtime, api: httpx.AsyncClient
) -> None:
    source = await upload(jsonl(posts(80)))
    async with runtime.transaction() as session:
        # What a worker leaves that is killed between its claim and its commit.
        row = await session.get_one(Source, source["id"])
        row.status = SourceStatus.IMPORTING
        row.read = row.stored = 40
    await run_jobs("default")
    seen = (await api.get(f"{URL}/{source['id']}")).json()
    assert (seen["status"], seen["counts"]["stored"], seen["counts"]["duplicates"]) == ("imported", 80, 0)


async def test_an_import_that_runs_twice_changes_nothing(upload: Upload, run_jobs: RunJobs, runtime: Runtime) -> None:
    source = await upload(jsonl(posts(20)))
    await run_jobs("default")
    await service.import_source(runtime, source_id=source["id"])
    assert await stored_tweets(runtime) == 20


async def test_deleting_a_persona_deletes_its_uploads(
    upload: Upload, api: httpx.AsyncClient, run_jobs: RunJobs, runtime: Runtime
) -> None:
    await upload(jsonl(posts(20)))
    kept = runtime.settings.data_dir / "artifacts" / "uploads"
    assert len(list(kept.rglob("*"))) == 2
    await api.delete("/api/v1/personas/tess")
    await run_jobs("default")
    assert list(kept.rglob("*")) == []
    assert await stored_tweets(runtime) == 0
