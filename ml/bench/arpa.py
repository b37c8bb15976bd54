"""A saved Kneser-Ney model → an ARPA file, the text form in which n-gram programs exchange models.

An ARPA file has for every n-gram the log10 of its probability and of its context's backoff; ours keeps the discounted
share, to which what the shorter n-gram says is added. `<eos>` has two names there: `<s>` where it begins a post, `</s>`
where it ends one.

Source: the ngram-format(5) page of SRILM.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from ml.errors import ConfigError
from ml.models import kneser_ney

BEGIN: Final = "<s>"
END: Final = "</s>"
# What cannot be predicted, by convention.
NEVER: Final = -99.0

Ids = NDArray[np.int64]
Probabilities = NDArray[np.float64]


def write_arpa(model: Path, path: Path, *, words: Sequence[str], eos: int) -> None:
    """Write the ARPA file of the model that lies in a directory. words: its vocabulary by id.

    Raises ConfigError for words that the format has other uses for.
    """
    if taken := {BEGIN, END} & set(words):
        raise ConfigError(f"{min(taken)} is a word of this vocabulary, and ARPA files keep it for themselves.")
    arrays: dict[str, NDArray[Any]] = load_file(model / kneser_ney.FILE_NAME)
    order = sum(name.startswith("keys.") for name in arrays) + 1
    with path.open("w", encoding="utf-8") as file:
        file.write("\\data\\\n")
        sizes = [len(words) + 1, *(len(arrays[f"keys.{k}"]) for k in range(2, order + 1))]
        file.writelines(f"ngram {k}={size}\n" for k, size in enumerate(sizes, start=1))
        _write_grams(file, arrays, words=words, order=order, eos=eos)
        file.write("\n\\end\\\n")


def _write_grams(file: TextIO, arrays: dict[str, NDArray[Any]], *, words: Sequence[str], order: int, eos: int) -> None:
    V = len(words)
    probabilities: Probabilities = arrays["unigrams"].astype(np.float64)
    suffixes: Ids = np.zeros(V, dtype=np.int64)  # of each n-gram: the id of what is left without its first word
    keys: Ids = np.arange(V, dtype=np.int64)
    names = [word if token != eos else BEGIN for token, word in enumerate(words)]
    last = [word if token != eos else END for token, word in enumerate(words)]
    _write_unigrams(file, probabilities, _backoffs(arrays, 1, size=V), names=names, eos=eos)
    for k in range(2, order + 1):
        shorter_keys, keys = keys, arrays[f"keys.{k}"]
        contexts, following = np.divmod(keys, V)
        suffixes = following if k == 2 else np.searchsorted(shorter_keys, suffixes[contexts] * V + following)
        backoff = arrays[f"backoff.{k}"].astype(np.float64)
        probabilities = arrays[f"discounted.{k}"] + backoff[contexts] * probabilities[suffixes]
        names = [f"{names[c]} {last[w]}" for c, w in zip(contexts.tolist(), following.tolist(), strict=True)]
        file.write(f"\n\\{k}-grams:\n")
        _write_lines(file, _log10(probabilities), names, backoffs=_backoffs(arrays, k, size=len(keys)))


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


def _backoffs(arrays: dict[str, NDArray[Any]], k: int, *, size: int) -> Probabilities:
    """log10 of what each k-gram leaves to shorter ones when it is a context: 0 for the longest. [N of k]"""
    found = arrays.get(f"backoff.{k + 1}")
    return np.zeros(size) if found is None else _log10(found.astype(np.float64))


def _log10(probabilities: Probabilities) -> Probabilities:
    # Rounding may carry a sure thing a hair above 1, which readers refuse.
    logarithms: Probabilities = np.minimum(np.log10(probabilities), 0.0)
    return logarithms
