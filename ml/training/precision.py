"""In which number type a training computes. Weights, optimizer and what serving does are float32 in any case."""

import torch


def compute_dtype(precision: str) -> torch.dtype:
    """precision: as TrainingRecipe has it.

    bfloat16 pays only where the processor has instructions for matrices of it (AMX); elsewhere it is emulated.
    """
    if precision == "bfloat16" or (precision == "auto" and torch.cpu.get_capabilities().get("amx_bf16", False)):
        return torch.bfloat16
    return torch.float32
