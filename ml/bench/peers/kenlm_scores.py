"""KenLM scoring our own Kneser-Ney model from an ARPA file: how fast it is, and that it says the same."""

import math
import time
from pathlib import Path

import kenlm
import numpy as np

from ml.bench.arpa import write_arpa
from ml.bench.counted import Counted, fastest
from ml.bench.row import Row, Task, score_of
from ml.errors import ConfigError
from ml.language_model import FloatArray
from ml.text.words import WordTokenizer


def measure(task: Task) -> Row:
    """Fit our model, hand it over, and compare the cost of every test token."""
    counted = Counted.of(task)
    tokenizer, posts = counted.tokenizer, counted.splits.test
    if not isinstance(tokenizer, WordTokenizer):
        raise ConfigError("kenlm reads words: the corpus of this benchmark has to be one of words.")
    counted.model.save(task.directory)
    path = task.directory / "model.arpa"
    words = [tokenizer.decode([token]) for token in range(tokenizer.vocabulary_size)]
    words[tokenizer.eos] = "<eos>"
    write_arpa(task.directory, path, words=words, eos=tokenizer.eos)
    began_at = time.perf_counter()
    model = load(path)
    load_seconds = time.perf_counter() - began_at
    lines = [" ".join(post.split()) for post in posts]
    score_seconds = fastest(lambda: [model.score(line) for line in lines])
    theirs = log_probabilities(model, lines)
    ours = counted.model.score(tokenizer.encode_posts(posts))
    test = score_of(theirs, posts)
    return Row(
        system=task.system,
        test_perplexity=test.perplexity,
        bits_per_byte=test.bits_per_byte,
        score_seconds=score_seconds,
        score_tokens_per_second=len(theirs) / score_seconds,
        largest_difference=float(np.abs(theirs - ours).max()),
        note=f"{load_seconds:.1f} s to load the ARPA file",
    )


def load(path: Path) -> kenlm.Model:
    """The model of an ARPA file, without KenLM's progress bar and advice on stderr."""
    quiet = kenlm.Config()
    quiet.show_progress = False
    quiet.arpa_complain = kenlm.ARPALoadComplain.NONE
    return kenlm.Model(str(path), quiet)


def log_probabilities(model: kenlm.Model, lines: list[str]) -> FloatArray:
    """Natural log-probability of every word and of the end of each line: [T] float32."""
    scored = (log10 for line in lines for log10, _, _ in model.full_scores(line))
    return np.fromiter((log10 * math.log(10) for log10 in scored), dtype=np.float32)
