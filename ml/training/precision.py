"""In which number type a training computes. Weights, optimizer and what serving does are float32 in any case."""

from typing import Final

import torch

# Instructions that multiply bfloat16: of matrices (Intel since 2023), of vectors (AMD since Zen 4). Elsewhere it is
# emulated and slower than float32.
FLAGS: Final = ("amx_bf16", "avx512_bf16")


def compute_dtype(precision: str) -> torch.dtype:
    """precision: as TrainingRecipe has it; "auto" takes bfloat16 where the processor multiplies it itself."""
    capabilities = torch.cpu.get_capabilities()
    if precision == "bfloat16" or (precision == "auto" and any(capabilities.get(flag, False) for flag in FLAGS)):
        return torch.bfloat16
    return torch.float32
