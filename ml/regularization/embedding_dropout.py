"""Dropout of whole tokens. Source: Gal & Ghahramani 2016, §4.2; Merity et al. 2017, §4.3."""

import torch
from torch import Tensor
from torch.nn.functional import embedding


def embed_with_dropout(tokens: Tensor, weight: Tensor, dropped: float, *, training: bool) -> Tensor:
    """tokens: [T, B] int64, weight: [V, E] → [T, B, E].

    A dropped token is zero wherever it stands in the window, the others are scaled by 1 / (1 - dropped).
    """
    embedded = embedding(tokens, weight)
    if not training or dropped == 0:
        return embedded
    kept = 1 - dropped
    mask = torch.empty(len(weight), 1, dtype=weight.dtype).bernoulli_(kept) / kept
    return embedded * embedding(tokens, mask)
