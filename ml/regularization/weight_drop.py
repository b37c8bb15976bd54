"""DropConnect on recurrent matrices. Source: Wan et al. 2013; on hidden-to-hidden weights, Merity et al. 2017, §2."""

from torch import Tensor
from torch.nn.functional import dropout


def drop_weights(weight: Tensor, dropped: float, *, training: bool) -> Tensor:
    """The matrix with a share of its weights at zero, the others / (1 - dropped); to be used for a whole window."""
    return dropout(weight, dropped) if training and dropped else weight
