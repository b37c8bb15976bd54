"""Everything that a training needs to go on as if nothing had happened, in one file, written whole or not at all."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

FILE_NAME = "checkpoint.safetensors"


@dataclass(kw_only=True)
class Position:
    """Where a training is. A training reads and writes nothing else of this kind.

    step: steps done; epoch: the pass it is in, from 1; batch: batches done of that pass; total_steps: the plan, None
    while it is being measured; nats, tokens: what this pass has cost so far; stale: passes without a better validation.
    """

    step: int = 0
    epoch: int = 1
    batch: int = 0
    total_steps: int | None = None
    nats: float = 0.0
    tokens: int = 0
    epoch_seconds: float = 0.0
    elapsed_seconds: float = 0.0
    best_valid_nats: float | None = None
    stale: int = 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A position with the tensors that belong to it. training: which one they are of, as `fingerprint` says."""

    training: str
    position: Position
    tensors: Mapping[str, Tensor]


def write(directory: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint of a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    arriving = directory / f"{FILE_NAME}.arriving"
    # Own copies: safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().clone().contiguous() for name, tensor in checkpoint.tensors.items()}
    position = json.dumps(asdict(checkpoint.position))
    save_file(tensors, arriving, metadata={"training": checkpoint.training, "position": position})
    with arriving.open("rb") as file:
        os.fsync(file.fileno())
    arriving.replace(directory / FILE_NAME)


def read(directory: Path) -> Checkpoint | None:
    """The checkpoint of a directory; None where there is none, or none that can be read: then it begins anew."""
    try:
        with safe_open(directory / FILE_NAME, framework="pt") as file:
            metadata = file.metadata() or {}
            training, position = metadata["training"], Position(**json.loads(metadata["position"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RecursionError):
        return None
    return Checkpoint(training=training, position=position, tensors=tensors)


def fingerprint(*parts: object) -> str:
    """Names a training by what it is made of: recipes, seed, token arrays. Their `repr` or their bytes are hashed."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's memory by name."""
    return {
        f"optimizer.{number}.{name}": value
        for number, memory in optimizer.state_dict()["state"].items()
        for name, value in memory.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer its memory back."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    if state:
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
