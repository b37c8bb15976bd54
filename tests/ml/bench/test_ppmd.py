from dataclasses import replace

import pytest

from ml.bench.corpus import Corpus
from ml.bench.row import Task

pyppmd = pytest.importorskip("pyppmd", reason="pyppmd is not installed (extra: bench)")


def test_what_is_held_out_costs_what_the_compressed_text_grows_by() -> None:
    from ml.bench.peers import ppmd

    assert ppmd.held_out_bits(100, 130) == 240
    assert ppmd.text_of(("a", "é\nb")) == b"a\n\xc3\xa9\nb\n"
    known, new = ppmd.text_of(("the mynah sings at night",) * 50), ppmd.text_of(("the mynah sings at night",))
    unlike = ppmd.text_of(("Zwölf Boxkämpfer jagen",))
    alone = ppmd.compressed_size(known)
    assert ppmd.held_out_bits(alone, ppmd.compressed_size(known + new)) < 8 * len(new) / 4
    assert ppmd.held_out_bits(alone, ppmd.compressed_size(known + unlike)) > 8 * len(unlike) / 2


def test_the_row_is_what_the_compressor_says(task: Task, posts: Corpus) -> None:
    from ml.bench.peers import ppmd

    splits = posts.read()
    train, test = ("".join(post + "\n" for post in side).encode() for side in (splits.train, splits.test))
    sizes = [len(pyppmd.compress(text, max_order=8, mem_size=1 << 26, variant="H")) for text in (train, train + test)]
    row = ppmd.measure(replace(task, corpus=posts))
    assert row.bits_per_byte == 8 * (sizes[1] - sizes[0]) / len(test)
