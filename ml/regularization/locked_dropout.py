"""Dropout with one mask for all steps. Source: Gal & Ghahramani 2016, §4; Merity et al. 2017, §4.2."""

import torch
from torch import Tensor


def locked_dropout(x: Tensor, dropped: float, *, training: bool) -> Tensor:
    """x: [T, B, E]; the same units of a column are zero at every step, the others are x / (1 - dropped)."""
    if not training or dropped == 0:
        return x
    kept = 1 - dropped
    mask = torch.empty(1, *x.shape[1:], dtype=x.dtype).bernoulli_(kept) / kept
    return x * mask
