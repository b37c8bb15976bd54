import math
import re

from ml.bench.machine import processor
from ml.bench.row import Row
from ml.bench.table import render


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table; every row has as many as its head."""
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    assert len({len(line) for line in lines}) == 1
    assert all(re.fullmatch(r" -+:? ", rule) for rule in lines[1])
    return [[cell.strip() for cell in line] for line in (lines[0], *lines[2:])]


def test_a_table_has_a_line_a_row_and_is_aligned() -> None:
    rows = [Row(system="a", parameters=1_234_567, train_seconds=600.04), Row(system="longer", test_perplexity=math.inf)]
    table = render(rows)
    assert len({len(line) for line in table.splitlines()}) == 1
    head, first, second = cells(table)
    assert head == ["system", "parameters", "train s", "tokens/s", "valid ppl", "test ppl", "bits/byte"]
    assert first == ["a", "1,234,567", "600.0", "–", "–", "–", "–"]
    assert second == ["longer", "–", "–", "–", "–", "inf", "–"]


def test_columns_that_not_every_benchmark_has_are_shown_where_a_row_has_something() -> None:
    head, *rows = cells(render([Row(system="a", copied_share=0.25), Row(system="b", note="a | b\nc")]))
    assert head[-2:] == ["copied", "note"]
    assert [row[-2:] for row in rows] == [["25.0%", "–"], ["–", "a \\| b c"]]


def test_a_processor_is_told_by_name_and_by_what_it_can_do() -> None:
    description = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu avx2 amx_bf16\n\nmodel name\t: Some CPU\n"
    assert processor(description) == ("Some CPU", ["avx2", "amx_bf16"])
    assert processor("")[1] == []
