import pytest
import torch

from poseshift.augmentation.pool import HistoryPool


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_gives_everything_back_until_it_is_full() -> None:
    pool = HistoryPool(5)
    first, second = torch.arange(3.0)[:, None], torch.arange(10.0, 12.0)[:, None]
    assert torch.equal(pool.exchange(first, rng()), first)
    assert torch.equal(pool.exchange(second, rng()), second)
    assert len(pool) == 5


def test_exchanges_half_when_full_and_loses_nothing() -> None:
    """What is given back and what is kept are, together, what was there before."""
    pool = HistoryPool(2000)
    old, new = torch.arange(2000.0)[:, None], torch.arange(5000.0, 6000.0)[:, None]
    pool.exchange(old, rng())
    given = pool.exchange(new, rng(1))
    kept = pool.state_dict()["kept"]
    assert sorted([*given.flatten().tolist(), *kept.flatten().tolist()]) == sorted(
        [*old.flatten().tolist(), *new.flatten().tolist()]
    )
    older = given < 5000
    assert float(older.double().mean()) == pytest.approx(0.5, abs=0.06)
    assert torch.equal(given[~older], new[~older])  # what is not exchanged keeps its place


def test_batches_that_overflow_fill_first() -> None:
    pool = HistoryPool(3)
    given = pool.exchange(torch.arange(5.0), rng())
    assert given[:3].tolist() == [0, 1, 2]
    assert len(pool) == 3
    assert len(pool.exchange(torch.arange(20.0, 30.0), rng(2))) == 10


def test_keeps_no_graph_and_can_be_switched_off() -> None:
    samples = torch.ones(2, 1, requires_grad=True)
    for capacity in (0, 4):
        pool = HistoryPool(capacity)
        assert not pool.exchange(samples, rng()).requires_grad
        assert len(pool) == min(capacity, 2)


def test_a_restored_pool_goes_on_alike() -> None:
    pool = HistoryPool(6)
    pool.exchange(torch.randn(4, 2, generator=rng()), rng())
    restored = HistoryPool(6)
    restored.load_state_dict(pool.state_dict(), torch.device("cpu"))
    for seed in range(3):
        batch = torch.randn(5, 2, generator=rng(seed))
        assert torch.equal(pool.exchange(batch, rng(seed)), restored.exchange(batch, rng(seed)))
