import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import CorpusTooSmall
from ml.text.splits import MINIMUM_POSTS, Split, split_of, split_posts


def test_a_post_never_changes_sides_as_the_corpus_grows() -> None:
    posts = [f"post number {i}" for i in range(2000)]
    before, after = split_posts(posts[:500]), split_posts(posts)
    assert set(before.train) <= set(after.train)
    assert set(before.valid) <= set(after.valid)
    assert set(before.test) <= set(after.test)


def test_sides_are_eighty_ten_ten() -> None:
    splits = split_posts([f"post number {i}" for i in range(10_000)])
    assert len(splits.train) == pytest.approx(8000, abs=150)
    assert len(splits.valid) == pytest.approx(1000, abs=120)
    assert len(splits.test) == pytest.approx(1000, abs=120)


def test_the_sides_of_known_posts_are_the_same_for_ever() -> None:
    sides = [split_of(f"post number {i}") for i in range(12)]
    assert sides == [Split.TRAIN] * 5 + [Split.VALID] + [Split.TRAIN] * 6


@given(st.text(st.characters(codec="ascii")))
def test_case_and_surrounding_blanks_make_no_difference(text: str) -> None:
    assert split_of(f"  {text.upper()}\n") == split_of(text)


def test_each_text_is_taken_once_and_blank_ones_not_at_all() -> None:
    posts = [f"post number {i}" for i in range(100)]
    assert split_posts([*posts, "", " \n", *posts, "POST NUMBER 1"]) == split_posts(posts)


def test_a_corpus_too_small_says_how_much_is_needed() -> None:
    posts = [f"post number {i}" for i in range(MINIMUM_POSTS - 1)]
    with pytest.raises(CorpusTooSmall, match=f"{MINIMUM_POSTS - 1} distinct posts .* at least {MINIMUM_POSTS}"):
        split_posts([*posts, *posts, ""])


@pytest.mark.parametrize("missing", [Split.VALID, Split.TEST])
def test_a_corpus_without_a_held_out_side_is_refused(missing: Split) -> None:
    posts = [post for i in range(200) if split_of(post := f"post number {i}") is not missing]
    with pytest.raises(CorpusTooSmall, match=f"falls into the {missing} split"):
        split_posts(posts)
