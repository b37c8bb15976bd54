"""Each technique has the property that its paper names."""

import pytest
import torch

from ml.regularization.activation_regularization import activation_penalty, temporal_penalty
from ml.regularization.embedding_dropout import embed_with_dropout
from ml.regularization.locked_dropout import locked_dropout
from ml.regularization.weight_drop import drop_weights


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(1)


def test_locked_dropout_uses_one_mask_for_all_steps_and_scales_what_it_keeps() -> None:
    dropped = locked_dropout(torch.ones(6, 50, 40), 0.4, training=True)
    assert (dropped == dropped[0]).all()
    kept = dropped[dropped != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.6))
    assert 0.55 < len(kept) / dropped.numel() < 0.65
    assert not (dropped[0] == dropped[0, 0]).all()  # each column has its own


def test_embedding_dropout_drops_a_token_everywhere_and_whole() -> None:
    tokens = torch.arange(300).repeat(2, 1)  # each stands twice
    weight = torch.ones(300, 4, requires_grad=True)
    embedded = embed_with_dropout(tokens, weight, 0.3, training=True)
    assert torch.equal(embedded[0], embedded[1])
    gone = (embedded[0] == 0).all(dim=1)
    assert torch.equal(gone, (embedded[0] == 0).any(dim=1))
    assert 0.2 < gone.float().mean() < 0.4
    torch.testing.assert_close(embedded[0][~gone], torch.full_like(embedded[0][~gone], 1 / 0.7))
    embedded.sum().backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    assert torch.equal(weight.grad[gone], torch.zeros_like(weight.grad[gone]))


def test_nothing_is_dropped_when_nobody_trains_or_nothing_is_to_be_dropped() -> None:
    x, weight, tokens = torch.rand(3, 4, 5), torch.rand(7, 5), torch.tensor([[1, 2]])
    for share, training in ((0.5, False), (0.0, True)):
        assert torch.equal(locked_dropout(x, share, training=training), x)
        assert torch.equal(drop_weights(weight, share, training=training), weight)
        assert torch.equal(embed_with_dropout(tokens, weight, share, training=training), weight[tokens])


def test_penalties_are_their_sums_by_hand() -> None:
    outputs = torch.tensor([[[1.0, 2.0]], [[4.0, 0.0]], [[4.0, 1.0]]])  # T = 3, B = 1, H = 2
    assert activation_penalty(outputs, 0.5).item() == pytest.approx(0.5 * (1 + 4 + 16 + 0 + 16 + 1) / 6)
    assert temporal_penalty(outputs, 2.0).item() == pytest.approx(2.0 * (9 + 4 + 0 + 1) / 4)
    assert temporal_penalty(outputs[:1], 2.0).item() == 0
