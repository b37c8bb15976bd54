"""The command: what it refuses, and a small run of the real thing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.bench.command import main, measured_rows
from app.bench.errors import ToolMissing
from app.bench.measures import MEASURES
from app.bench.measures.one_process import rollup
from app.bench.row import Row
from app.bench.stage import Stage
from app.settings import Settings
from ml.bench.corpus import Corpus
from ml.training import run
from ml.training.directory import prepare
from tests.app.conftest import jsonl, posts
from tests.ml.bench.test_table import cells


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of the corpora in small."""
    (tmp_path / "trump").mkdir()
    texts = posts(300)
    for split, chosen in {"train": texts[:240], "valid": texts[240:270], "test": texts[270:]}.items():
        (tmp_path / "trump" / f"{split}.jsonl").write_bytes(jsonl(chosen))
    return tmp_path


@pytest.fixture
def trained(data: Path, tmp_path: Path) -> Path:
    """An n-gram model of that corpus."""
    files = {split: [data / "trump" / f"{split}.jsonl"] for split in ("train", "valid", "test")}
    prepare(tmp_path / "training", run.Request(preset="kneser-ney", seed=1), files=files)
    assert list(run.run(tmp_path / "training"))
    return tmp_path / "training" / run.ARTIFACT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "nothing"], "There is no row 'nothing'; there are bare, naive"),
        (["--seconds", "0"], "seconds is 0; it has to be above 0"),
        (["--seconds", "nan"], "seconds is nan; it has to be above 0"),
        (["--minutes", "-1"], "minutes is -1; it has to be above 0"),
        (["--data", "nowhere"], "nowhere/trump/train.jsonl"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.splitlines()[-1]


def test_without_a_folder_of_corpora_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MYNAH_BENCHMARK_DATA", raising=False)
    assert main([]) == 2
    assert "Set MYNAH_BENCHMARK_DATA" in capsys.readouterr().err


def test_a_folder_that_holds_no_model_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(data), "--artifact", str(data)]) == 2
    assert "holds no model" in capsys.readouterr().err


def test_it_is_listed_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.startswith("serving  ")


def test_a_row_that_fails_says_why_and_the_others_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defective(_: Stage) -> Iterator[Row]:
        yield Row(name="bare", setting="first")
        raise KeyError("answer")

    def missing(_: Stage) -> Iterator[Row]:
        raise ToolMissing("wrk is missing")

    def measured(_: Stage) -> Iterator[Row]:
        yield Row(name="start", seconds=1)

    monkeypatch.setitem(MEASURES, "bare", defective)
    monkeypatch.setitem(MEASURES, "http", missing)
    monkeypatch.setitem(MEASURES, "start", measured)
    corpus = Corpus(train=tmp_path, valid=tmp_path, test=tmp_path, words=False)
    stage = Stage(folder=tmp_path, artifact=tmp_path, corpus=corpus, settings=Settings(), seconds=1)
    rows = list(measured_rows(stage, ["start", "bare", "http"]))
    assert [(row.name, row.note, row.failed) for row in rows] == [
        ("bare", "", False),
        ("bare", "failed: KeyError: 'answer'", True),
        ("http", "not measured: wrk is missing", False),
        ("start", "", False),
    ]


def test_memory_is_read_in_kilobytes() -> None:
    text = "55d0-7ffc ---p 00000000 00:00 0    [rollup]\nRss:  204800 kB\nPss:   1024 kB\nPss_Dirty:  1 kB\n"
    assert rollup(text) == {"Rss": 204800, "Pss": 1024, "Pss_Dirty": 1}


@pytest.mark.slow
def test_rows_of_a_real_service_end_in_one_table(
    data: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    asked = ["--data", str(data), "--artifact", str(trained), "--seconds", "0.2", "--json", str(file)]
    assert main([*asked, "--only", "memory", "naive", "engine"]) == 2  # an n-gram model has no loop over nn.LSTM
    printed = capsys.readouterr()
    command, machine, table, judged = printed.out.strip().split("\n\n")
    assert command == "`python -m app.bench --artifact … --seconds 0.2 --only memory naive engine`"
    assert "cores" in machine
    head, *rows = cells(table)
    assert [row[:2] for row in rows] == [
        ["naive", "–"],
        ["engine", "no HTTP, n = 1"],
        ["engine", "no HTTP, n = 64"],
        ["memory", "10 personas asked"],
    ]
    assert "has no recurrent network" in rows[0][head.index("note")]
    assert rows[3][head.index("note")] == "without torch"
    assert [row[0] for row in cells(judged)[1:]] == ["memory of the process, 10 personas loaded"]
    measured = json.loads(file.read_text())["rows"]
    assert measured[1]["tokens_per_second"] > measured[1]["sentences_per_second"] > 0
    assert measured[3]["rss_mb"] >= measured[3]["pss_mb"] > 0
    assert "memory …" in printed.err


def test_the_rows_come_in_the_order_of_the_table() -> None:
    assert list(MEASURES)[-1] == "many"  # it adds a thousand personas for those after it
