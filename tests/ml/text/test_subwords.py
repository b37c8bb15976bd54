import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import ConfigError
from ml.text.subwords import MINIMUM_SIZE, SubwordTokenizer

TOKENIZER = SubwordTokenizer.learn(
    [
        "Good morning, #birds! Good morning @all 🐦🇺🇸",
        "아침 인사 좋은 아침",
        "صباح الخير، صباح",
        "おはよう\n\nおはよう <eos>",
    ]
    * 9,
    vocabulary_size=1000,
)


@given(st.text())
def test_every_text_comes_back_as_it_was(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "👩‍🚀 and 🏴󠁧󠁢󠁥󠁮󠁧󠁿 and 🇺🇸",
        "שלום עולם، صباح الخير",
        "좋은 아침\n漢字、かな",
        "\tindented\r\n\n\n  twice  \n ",
        " \u00a0\u3000",
        "<eos><unk><s></s>[UNK]",
        "@a_b #MAGA's U.S.A. 3.14 don’t \x00",
        "",
    ],
)
def test_difficult_texts_come_back_as_they_were(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.lists(st.text(), max_size=5))
def test_posts_are_encoded_as_each_alone_and_closed_by_eos(posts: list[str]) -> None:
    expected = [token for post in posts for token in [*TOKENIZER.encode(post), TOKENIZER.eos]]
    assert TOKENIZER.encode_posts(posts).tolist() == expected


def test_eos_typed_by_someone_is_ordinary_text_even_where_it_was_learnt() -> None:
    ids = TOKENIZER.encode("<eos>")
    assert TOKENIZER.eos not in ids
    assert TOKENIZER.decode(ids) == "<eos>"
    assert TOKENIZER.decode([*ids, TOKENIZER.eos]) == "<eos>"


def test_all_ids_lie_below_the_vocabulary_size_and_eos_is_the_last() -> None:
    assert TOKENIZER.eos == TOKENIZER.vocabulary_size - 1
    every_byte = "".join(map(chr, range(0x800))) + "\uffff\U0010ffff"
    assert max(TOKENIZER.encode(every_byte)) < TOKENIZER.eos
    assert TOKENIZER.never_spoken == ()


def test_a_character_cut_in_two_decodes_to_the_replacement_character() -> None:
    bird = SubwordTokenizer.learn([], vocabulary_size=MINIMUM_SIZE)
    assert bird.decode(bird.encode("🐦")[:2]) == "\ufffd"


def test_the_vocabulary_is_no_larger_than_asked_for_nor_than_the_text_can_carry(small_corpus: list[str]) -> None:
    assert SubwordTokenizer.learn(small_corpus * 50, vocabulary_size=300).vocabulary_size == 300
    few = SubwordTokenizer.learn(small_corpus, vocabulary_size=30_000).vocabulary_size
    assert MINIMUM_SIZE < few <= MINIMUM_SIZE + sum(len(post.encode()) for post in small_corpus) // 200


def test_a_vocabulary_without_room_for_all_bytes_is_refused() -> None:
    with pytest.raises(ConfigError, match="need 257"):
        SubwordTokenizer.learn(["a"], vocabulary_size=256)


def test_learning_gives_the_same_tokenizer_in_every_process(tmp_path: Path, small_corpus: list[str]) -> None:
    code = (
        "import sys, pathlib; from ml.text.subwords import SubwordTokenizer;"
        "posts = sys.stdin.read().split('\\0');"
        "SubwordTokenizer.learn(posts, vocabulary_size=2000).save(pathlib.Path(sys.argv[1]))"
    )
    files = []
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        corpus = "\0".join(small_corpus * 30).encode()
        subprocess.run([sys.executable, "-c", code, tmp_path / seed], input=corpus, env=environment, check=True)
        files.append((tmp_path / seed / "tokenizer.json").read_bytes())
    assert files[0] == files[1]
