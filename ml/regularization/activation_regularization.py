"""Penalties on large and on jumpy outputs. Source: Merity et al. 2017, §4.6."""

from torch import Tensor


def activation_penalty(outputs: Tensor, alpha: float) -> Tensor:
    """α · mean of squared activations. outputs: [T, B, H], after dropout."""
    return alpha * outputs.float().pow(2).mean()


def temporal_penalty(outputs: Tensor, beta: float) -> Tensor:
    """β · mean of squared differences from one step to the next. outputs: [T, B, H], before dropout; 0 for one step."""
    if len(outputs) < 2:
        return outputs.new_zeros(())
    return beta * (outputs[1:] - outputs[:-1]).float().pow(2).mean()
