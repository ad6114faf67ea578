"""Kept tensors: one for each type and device, with the values of one that is made anew, fit for training."""

import torch

from poseshift.geometry.constants import constant, indices, mask


def test_the_same_tensor_is_returned_for_the_same_values_type_and_device() -> None:
    like = torch.zeros(2)
    assert constant((-1.0, 0.1), like) is constant((-1.0, 0.1), torch.ones(5))
    assert constant((-1.0, 0.1), like.double()) is not constant((-1.0, 0.1), like)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        made = like.to(dtype)
        assert torch.equal(constant((0.1, 1 / 3), made), made.new_tensor([0.1, 1 / 3]))
        assert constant((0.1,), made).dtype == dtype
    assert constant((1.0,), torch.zeros(1, device="meta")).device.type == "meta"


def test_equal_numbers_of_other_types_are_told_apart() -> None:
    like = torch.zeros(2)
    assert mask((True, False), like).dtype == torch.bool
    assert indices((1, 0), like).dtype == torch.int64
    assert constant((1.0, 0.0), like).dtype == torch.float32


def test_one_that_was_made_while_testing_can_be_trained_with() -> None:
    weight = torch.ones(2, requires_grad=True)
    with torch.inference_mode():
        constant((3.0, 7.0), torch.zeros(2))
    (weight * constant((3.0, 7.0), weight)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3.0, 7.0]
