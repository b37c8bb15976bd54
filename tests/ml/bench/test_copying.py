from ml.bench.copying import Copies

POSTS = ["a b c d e", "f g h", "e f g h i"]


def test_a_sentence_is_copied_when_a_run_of_it_stands_in_one_post() -> None:
    copies = Copies(POSTS, words=4)
    # "d e f g" would be a run only across the end of a post.
    assert copies.copied_share(["x b c d e y", "a b c x", "c d e f g", "f g h", "f g h i"]) == 2 / 5


def test_a_sentence_is_verbatim_when_it_is_a_whole_post() -> None:
    copies = Copies(POSTS, words=4)
    assert copies.verbatim_share(["F  g h", "a b c d", "e f g h i", "f"]) == 2 / 4


def test_nothing_said_is_nothing_copied() -> None:
    copies = Copies(POSTS, words=4)
    assert (copies.copied_share([]), copies.verbatim_share([])) == (0, 0)
