import os

import pytest
import torch

from poseshift.training.repeatability import repeatable


def test_exact_lasts_for_the_block_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with repeatable("exact"):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cudnn.benchmark
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"  # the user's choice stays
    assert not torch.are_deterministic_algorithms_enabled()


def test_exact_ends_with_an_error_too() -> None:
    with pytest.raises(KeyError), repeatable("exact"):
        raise KeyError
    assert not torch.are_deterministic_algorithms_enabled()


def test_usual_changes_nothing() -> None:
    with repeatable("usual"):
        assert not torch.are_deterministic_algorithms_enabled()


def test_operations_without_a_repeatable_algorithm_are_refused() -> None:
    values = torch.zeros(4)
    with repeatable("exact"), pytest.raises(RuntimeError, match="deterministic"):
        values.put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
