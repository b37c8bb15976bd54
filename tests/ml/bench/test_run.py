"""Whole suites in small: each system in its process, each row in the table."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ml.bench import suite, systems
from ml.bench.row import Row, Task
from ml.bench.run import against, run
from ml.bench.suite import System
from tests.ml.bench.test_table import cells

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
EXTRA = {"ppmd": "pyppmd", "markov-chain": "markovify", "kenlm": "kenlm"}


def bench(*arguments: object, data: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "MYNAH_BENCHMARK_DATA"}
    if data is not None:
        environment["MYNAH_BENCHMARK_DATA"] = str(data)
    command = [sys.executable, "-m", "ml", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


@pytest.mark.parametrize(
    "name", ["ngrams", *(pytest.param(name, marks=pytest.mark.slow) for name in ("trump", "trump-words"))]
)
def test_a_suite_ends_with_a_table_of_all_its_systems(name: str, data: Path, tmp_path: Path) -> None:
    done = bench(name, "--minutes", 0.002, "--json", tmp_path / "rows.json", data=data)
    assert done.returncode == 0, done.stderr
    command, machine, table = done.stdout.strip().split("\n\n")
    assert command == f"`python -m ml bench {name} --minutes 0.002`"
    assert "cores" in machine
    head, *rows = cells(table)
    wanted = suite.load(name).systems
    assert [row[0] for row in rows] == [system.name for system in wanted]
    assert all(f"\n{system.name} …" in done.stderr for system in wanted)
    measured = json.loads((tmp_path / "rows.json").read_text())
    assert [row["system"] for row in measured["rows"]] == [system.name for system in wanted]
    for system, row in zip(wanted, measured["rows"], strict=True):
        missing = "is missing" in row["note"]
        assert missing or row[_characteristic(system)] > 0, row
        assert not row["failed"]
    assert ("speed-up" in head) == (name == "trump-words")
    assert ("copied" in head) == (name == "trump")


def _characteristic(system: System) -> str:
    """What a system of this kind is measured for."""
    if system.kind == "markov-chain":
        return "sentences_per_second"
    return "score_tokens_per_second" if system.kind in {"n-gram", "kenlm"} else "bits_per_byte"


def test_only_one_system_can_be_asked_for(data: Path) -> None:
    done = bench("ptb", "--only", "kneser-ney", "--data", data, data=None)
    assert done.returncode == 0, done.stderr
    head, row = cells(done.stdout.strip().split("\n\n")[2])
    assert row[0] == "kneser-ney"
    assert "–" not in row
    assert done.stdout.startswith("`python -m ml bench ptb --only kneser-ney`\n")
    assert len(head) == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "There is no benchmark 'nothing'; there are cells, ngrams, ptb"),
        (("ngrams",), "MYNAH_BENCHMARK_DATA"),
        (("ngrams", "--data", "nowhere"), "nowhere/ptb/ptb.train.txt"),
        (("ngrams", "--only", "srilm"), "no system 'srilm'"),
        (("ngrams", "--minutes", "0"), "minutes is 0"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = bench(*arguments, data=None)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_without_a_name_all_benchmarks_are_described() -> None:
    done = bench(data=None)
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == suite.names()


def test_a_system_that_fails_leaves_a_row_that_says_why_and_the_others_are_measured(data: Path) -> None:
    broken = System(name="broken", kind="n-gram", preset="lstm")
    good = System(name="good", kind="n-gram", preset="kneser-ney")
    rows = list(run(replace(suite.load("ngrams"), systems=(broken, good)), data=data))
    assert [(row.system, row.failed) for row in rows] == [("broken", True), ("good", False)]
    assert "is no n-gram model" in rows[0].note
    assert rows[1].test_perplexity is not None


@pytest.mark.parametrize("kind", EXTRA)
def test_a_peer_whose_package_is_missing_says_so_in_its_row(
    kind: str, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, EXTRA[kind], None)
    monkeypatch.delitem(sys.modules, systems.MODULES[kind], raising=False)
    row = systems.measure(kind, task)
    assert f"the package {EXTRA[kind]} is missing" in row.note
    assert not row.failed


def test_speed_up_is_the_reference_s_time_to_its_best_over_ours_to_the_same() -> None:
    reference = Row(system="plain", curve=((60, 90.0), (120, 80.0), (180, 85.0)))
    ours = Row(system="ours", curve=((20, 100.0), (30, 79.0), (40, 70.0)))
    never = Row(system="never", curve=((500, 80.1),))
    assert (against(ours, reference).reached_seconds, against(ours, reference).speed_up) == (30, 4)
    assert against(reference, reference).speed_up == 1
    assert against(never, reference).speed_up is None
    assert against(ours, Row(system="counted")).speed_up is None
