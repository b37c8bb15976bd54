from pathlib import Path

import pytest

from ml.errors import CorpusError
from ml.text.posts import read_posts


def test_a_jsonl_file_has_a_post_a_line(tmp_path: Path) -> None:
    path = tmp_path / "posts.jsonl"
    path.write_bytes('\ufeff{"text": "a\\nb "}\r\n\n{"id": 1, "text": "c\u2028\u0085d"}'.encode())
    assert read_posts(path) == ["a\nb ", "c\u2028\u0085d"]


def test_a_text_file_has_a_post_a_line_without_surrounding_blanks(tmp_path: Path) -> None:
    path = tmp_path / "posts.TXT"
    path.write_bytes(b" no it was n't <unk> \r\n\n \nsecond\n")
    assert read_posts(path) == ["no it was n't <unk>", "second"]


@pytest.mark.parametrize(
    ("name", "line", "complaint"),
    [
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.jsonl", b"\xff", "not UTF-8"),
        ("a.jsonl", b'{"text": "a"', "not JSON .* at column"),
        ("a.jsonl", b'["a"]', "not an object"),
        ("a.jsonl", b'{"text": 3}', "not an object"),
        ("a.jsonl", b'{"text": "\\ud83d"}', "half of a surrogate pair"),
    ],
)
def test_broken_input_is_named_by_file_and_line(name: str, line: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b'{"text": "fine"}\n\n' + line + b"\n")
    with pytest.raises(CorpusError, match=rf"{name}, line 3: .*{complaint}"):
        read_posts(path)


def test_a_file_that_is_missing_or_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="cannot be read"):
        read_posts(tmp_path / "nowhere.txt")
    with pytest.raises(CorpusError, match=r"neither of \.jsonl, \.txt"):
        read_posts(tmp_path / "posts.csv")
