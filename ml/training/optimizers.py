"""AdamW, and the one-cycle schedule of its learning rate."""

import math

import torch

from ml.models.recurrent import RecurrentNetwork
from ml.preset import TrainingRecipe

WARM_UP_SHARE = 0.1
FIRST_DIVISOR = 25.0
LAST_DIVISOR = 200.0


def adamw(network: RecurrentNetwork, recipe: TrainingRecipe) -> torch.optim.AdamW:
    """AdamW with decay on matrices only: a bias has nothing to overfit. Source: Loshchilov & Hutter 2019."""
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    vectors = [weight for weight in network.parameters() if weight.ndim == 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.99), fused=True)


def one_cycle(step: int, *, total_steps: int, peak: float) -> float:
    """Learning rate of a step: up in a line, down in a cosine. Source: Smith & Topin 2018."""
    warm_up = max(1, round(total_steps * WARM_UP_SHARE))
    if step < warm_up:
        return peak * (1 / FIRST_DIVISOR + (1 - 1 / FIRST_DIVISOR) * step / warm_up)
    done = min(1.0, (step - warm_up) / max(1, total_steps - warm_up))
    return peak * (1 / LAST_DIVISOR + (1 - 1 / LAST_DIVISOR) * (1 + math.cos(math.pi * done)) / 2)
