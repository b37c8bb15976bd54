"""The loss whose gradient is worked out on the way, against torch's own and against finite differences."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ml.training.losses import softmax_cross_entropy

N, D, V = 30, 8, 20


def arguments(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    outputs, weight, bias = (torch.randn(*shape).to(dtype).requires_grad_() for shape in ((N, D), (V, D), (V,)))
    return outputs, weight, bias, torch.randint(V, (N,))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_loss_and_gradients_are_those_of_the_cross_entropy_of_the_logits(dtype: torch.dtype, tolerance: float) -> None:
    ours, theirs = arguments(dtype), arguments(torch.float32)
    with torch.no_grad():
        for one, other in zip(ours[:3], theirs[:3], strict=True):
            other.copy_(one)
    loss = softmax_cross_entropy(*ours)
    outputs, weight, bias, targets = theirs
    expected = cross_entropy(outputs @ weight.T + bias, targets)
    (3 * loss).backward()  # type: ignore[no-untyped-call]
    (3 * expected).backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        assert one.grad is not None
        assert other.grad is not None
        error = (one.grad.float() - other.grad).norm() / other.grad.norm()
        assert error < tolerance


def test_without_gradients_the_loss_is_the_same() -> None:
    given = arguments(torch.float32)
    with torch.no_grad():
        assert softmax_cross_entropy(*given).item() == pytest.approx(softmax_cross_entropy(*given).item())
        measured = softmax_cross_entropy(*given).item()
    assert softmax_cross_entropy(*given).item() == pytest.approx(measured, abs=1e-6)


def test_a_likelihood_that_rounds_to_nothing_costs_much_but_not_everything() -> None:
    outputs, weight = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]])
    loss = softmax_cross_entropy(outputs, weight, torch.zeros(2), torch.tensor([1]))
    assert 80 < loss.item() < 100


def test_what_is_no_number_stays_none() -> None:
    outputs, weight, bias, targets = arguments(torch.float32)
    loss = softmax_cross_entropy(outputs * float("nan"), weight, bias, targets)
    assert torch.isnan(loss)
