"""A saved Kneser-Ney model → an ARPA file, the text form in which n-gram programs exchange models.

An ARPA file has for every n-gram the log10 of its probability and of its context's backoff; ours keeps the discounted
share, to which what the shorter n-gram says is added. `<eos>` has two names there: `<s>` where it begins a post, `</s>`
where it ends one.

Source: the ngram-format(5) page of SRILM.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, TextIO

import numpy as np
from numpy.typing import NDArray

from ml.errors import ConfigError
from ml.models.kneser_ney import KneserNey, Tables

BEGIN: Final = "<s>"
END: Final = "</s>"
# What cannot be predicted, by convention.
NEVER: Final = -99.0

Ids = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def write_arpa(model: Path, path: Path, *, words: Sequence[str], eos: int) -> None:
    """Write the ARPA file of the model that lies in a directory. words: its vocabulary by id.

    Raises ConfigError for words that the format has other uses for, ArtifactError as `KneserNey.load`.
    """
    if taken := {BEGIN, END} & set(words):
        raise ConfigError(f"{min(taken)} is a word of this vocabulary, and ARPA files keep it for themselves.")
    tables = KneserNey.load(model).tables
    levels = tables.ngrams.levels
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        sizes = [level.stop - level.start for level in levels]
        sizes[0] += 1
        file.writelines(f"ngram {k}={size}\n" for k, size in enumerate(sizes, start=1))
        _write_grams(file, tables, words=words, eos=eos)
        file.write("\n\\end\\\n")


def _write_grams(file: TextIO, tables: Tables, *, words: Sequence[str], eos: int) -> None:
    ngrams, V = tables.ngrams, len(words)
    levels = ngrams.levels
    probabilities: Probabilities = tables.unigrams.astype(np.float64)
    suffixes: Ids = np.zeros(V, dtype=np.int64)  # of each n-gram: the id of what is left without its first word
    names = [word if token != eos else BEGIN for token, word in enumerate(words)]
    last = [word if token != eos else END for token, word in enumerate(words)]
    _write_unigrams(file, probabilities, _backoffs(tables, levels[0]), names=names, eos=eos)
    for k, (shorter, own) in enumerate(pairwise(levels), start=2):
        contexts = ngrams.contexts(shorter)
        places = slice(own.start - V, own.stop - V)
        following = ngrams.words[places].astype(np.int64)
        suffixes = following if k == 2 else ngrams.find(suffixes[contexts], following)
        backoff = tables.backoff[shorter].astype(np.float64)
        without_first = suffixes - levels[k - 2].start
        probabilities = tables.discounted[places] + backoff[contexts] * probabilities[without_first]
        names = [f"{names[c]} {last[w]}" for c, w in zip(contexts.tolist(), following.tolist(), strict=True)]
        file.write(f"\n\\{k}-grams:\n")
        _write_lines(file, _log10(probabilities), names, backoffs=_backoffs(tables, own))


def _write_unigrams(
    file: TextIO, probabilities: Probabilities, backoffs: Probabilities, *, names: list[str], eos: int
) -> None:
    logarithms = _log10(probabilities)
    ending = float(logarithms[eos])
    logarithms[eos] = NEVER
    file.write("\n\\1-grams:\n")
    _write_lines(file, logarithms, names, backoffs=backoffs)
    _write_lines(file, np.array([ending]), [END], backoffs=np.zeros(1))


def _write_lines(file: TextIO, logarithms: Probabilities, names: list[str], *, backoffs: Probabilities) -> None:
    # A backoff of 1, whose logarithm is 0, may be left out.
    file.writelines(
        f"{logarithm:.9g}\t{name}\t{backoff:.9g}\n" if backoff else f"{logarithm:.9g}\t{name}\n"
        for logarithm, name, backoff in zip(logarithms.tolist(), names, backoffs.tolist(), strict=True)
    )


def _backoffs(tables: Tables, level: slice) -> Probabilities:
    """log10 of what each k-gram of a level leaves to shorter ones when it is a context: 0 for the longest. [N of k]"""
    found = tables.backoff[level].astype(np.float64)  # none of the longest
    return _log10(found) if len(found) else np.zeros(level.stop - level.start)


def _log10(probabilities: Probabilities) -> Probabilities:
    # Rounding may carry a sure thing a hair above 1, which readers refuse.
    logarithms: Probabilities = np.minimum(np.log10(probabilities), 0.0)
    return logarithms
