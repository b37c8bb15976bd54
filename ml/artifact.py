"""A model version on disk: model and tokenizer together, with checksums; nothing pickled, nothing that needs torch."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import safe_open

from ml.errors import ArtifactError
from ml.language_model import LanguageModel, StoredModel, TokenArray
from ml.models.families import FAMILIES
from ml.serving.export import export
from ml.text.corpus_index import CorpusIndex
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import load_tokenizer

CONFIG: Final = "config.json"
FORMAT: Final = 2  # 1 had no index of the corpus
_TOLERANCE: Final = 1e-3  # float32 sums over a large vocabulary stay well below
ADVICE: Final = "Train this model again, or fetch its folder once more."


@dataclass(frozen=True, slots=True)
class Artifact:
    """A loaded model version. config: what the training wrote of itself (preset, seed, …).

    corpus_index: tells what of a sentence is copied from the posts; mapped, so what nobody asks for stays on disk.
    """

    model: LanguageModel
    tokenizer: Tokenizer
    corpus_index: CorpusIndex
    config: Mapping[str, Any]


def save(
    directory: Path,
    *,
    family: str,
    model: StoredModel,
    tokenizer: Tokenizer,
    corpus_index: CorpusIndex,
    config: Mapping[str, object],
    held_out: TokenArray | None = None,
) -> None:
    """Write a model version, whole or not at all; what lay there is replaced.

    held_out: [T] int64, posts on which an int8 step is compared with the network (ml/serving/export.py); without them
    none is written.
    """
    arriving = directory.with_name(f".{directory.name}.arriving")
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(parents=True)
    model.save(arriving)
    tokenizer.save(arriving)
    corpus_index.save(arriving)
    shift = None if held_out is None else export(model, arriving, tokens=held_out)
    described = {
        **config,
        "int8_perplexity_shift": shift,
        "format": FORMAT,
        "family": family,
        "parameters": model.parameters,
        "sha256": {
            file.relative_to(arriving).as_posix(): _sha256(file)
            for file in sorted(arriving.rglob("*"))
            if file.is_file()
        },
    }
    with (arriving / CONFIG).open("w") as file:
        json.dump(described, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    shutil.rmtree(directory, ignore_errors=True)
    arriving.rename(directory)


def load(directory: Path) -> Artifact:
    """Read a model version and check that it is what was written.

    Raises ArtifactError when it is missing, incomplete, altered, or of another version.
    """
    config = read_config(directory)
    _check_files(directory, config["sha256"])
    try:
        model = FAMILIES[config["family"]].load(directory)
        tokenizer = load_tokenizer(directory)
        corpus_index = CorpusIndex.load(directory)
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        # The checksums are right, so a file was rewritten together with them; no list of its lies is complete.
        raise ArtifactError(f"{directory} holds no model: {_first_line(error)}. {ADVICE}") from error
    if model.vocabulary_size != tokenizer.vocabulary_size:
        raise ArtifactError(
            f"{directory} holds a model over {model.vocabulary_size} tokens and a tokenizer of "
            f"{tokenizer.vocabulary_size}. {ADVICE}"
        )
    _check_ends(directory, config["sha256"], eos=tokenizer.eos)
    _check_first_word(model, tokenizer, directory=directory)
    return Artifact(model=model, tokenizer=tokenizer, corpus_index=corpus_index, config=config)


def _check_files(directory: Path, digests: Mapping[str, object]) -> None:
    """Every file that a model is read from is named with its checksum, is there, and has it."""
    if not any(name.endswith(".safetensors") for name in digests):
        raise ArtifactError(f"{directory} has no checksum of a model. {ADVICE}")
    for name, digest in digests.items():
        file = directory / name
        if not file.resolve().is_relative_to(directory.resolve()) or not file.is_file():
            raise ArtifactError(f"{directory} lacks {name}. {ADVICE}")
        if _sha256(file) != digest:
            raise ArtifactError(f"{file} is not what was written (its checksum differs). {ADVICE}")
    files = (path for path in directory.rglob("*") if path.suffix in {".json", ".onnx", ".safetensors"})
    there = {path.relative_to(directory).as_posix() for path in files} - {CONFIG}
    if unnamed := sorted(there - digests.keys()):
        raise ArtifactError(f"{directory} has no checksum of {', '.join(unnamed)}. {ADVICE}")


def _check_ends(directory: Path, names: Iterable[str], *, eos: int) -> None:
    """A model that closes posts with another token than its tokenizer would begin every sentence in the middle."""
    for name in names:
        if name.endswith(".safetensors"):
            with safe_open(directory / name, framework="numpy") as file:
                said = (file.metadata() or {}).get("eos", str(eos))
            if said != str(eos):
                raise ArtifactError(
                    f"{directory / name} closes posts with token {said}, its tokenizer with {eos}. {ADVICE}"
                )


def _check_first_word(model: LanguageModel, tokenizer: Tokenizer, *, directory: Path) -> None:
    """Weights may be finite and still too large to reckon with; then it is found here, not by who is served."""
    with np.errstate(all="ignore"):
        log_probs, _ = model.step(np.array([tokenizer.eos]), model.initial_state(1))
        total = float(np.exp(log_probs.astype(np.float64)).sum())
    if not abs(total - 1) < _TOLERANCE:
        raise ArtifactError(f"{directory} holds a model whose probabilities sum to {total:.3g}, not to 1. {ADVICE}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def read_config(directory: Path) -> dict[str, Any]:
    """What a model version says of itself. Raises ArtifactError."""
    try:
        config = json.loads((directory / CONFIG).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{directory} holds no model: {CONFIG} cannot be read ({_first_line(error)}). {ADVICE}"
        ) from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or isinstance(config["format"], bool):
        raise ArtifactError(f"{directory} is of another version than this one reads ({FORMAT}). {ADVICE}")
    family = config.get("family")
    if not isinstance(family, str) or family not in FAMILIES or not isinstance(config.get("sha256"), dict):
        raise ArtifactError(f"{directory} holds a model of unknown make. {ADVICE}")
    return config


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
