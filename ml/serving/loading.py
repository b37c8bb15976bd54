"""A model version from its directory into what sentences are drawn from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ml import artifact
from ml.sampling.voice import Voice
from ml.serving.quantized_recurrent import FILE_NAME as STEP
from ml.serving.speaker import speaker_of
from ml.text.corpus_index import CorpusIndex

# onnxruntime keeps its own, rearranged copy of the weights of a step beside those that it has read.
_COPIES_OF_A_STEP: Final = 2
_FLOAT_WEIGHTS: Final = "recurrent.safetensors"


@dataclass(frozen=True, slots=True)
class Served:
    """A loaded model version. size_bytes: about what it takes up; config: what the training wrote of itself."""

    voice: Voice
    corpus_index: CorpusIndex
    config: Mapping[str, Any]
    size_bytes: int


def load(directory: Path) -> Served:
    """Read a model version and check that it is what was written. Raises ArtifactError."""
    loaded = artifact.load(directory)
    voice = Voice(speaker_of(loaded.model, directory), loaded.tokenizer)
    _ = voice.mentions  # worked out here, where nobody waits for it
    return Served(voice, loaded.corpus_index, config=loaded.config, size_bytes=_size(directory))


def _size(directory: Path) -> int:
    """From the sizes of the files that are in use: weights in float32 are not where there is an int8 step."""
    size = 0
    for file in directory.rglob("*"):
        if file.name == STEP:
            size += _COPIES_OF_A_STEP * file.stat().st_size
        elif file.is_file() and not (file.name == _FLOAT_WEIGHTS and (file.parent / STEP).exists()):
            size += file.stat().st_size
    return size
