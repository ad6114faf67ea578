"""The share of the gap closed, against figures worked out by hand and against exact enumeration."""

import itertools

import numpy as np
import pytest

from poseshift.flows.experiment.compare import gain_mm, gap_closed
from poseshift.training.evaluation.intervals import Estimate
from poseshift.training.evaluation.protocols import Averaging
from poseshift.training.evaluation.results import EvaluationResult, SequenceErrors


def result(
    errors_mm: tuple[float, ...],
    frames: tuple[int, ...],
    actions: tuple[str, ...] | None = None,
    averaging: Averaging = "frames",
) -> EvaluationResult:
    anything = Estimate(value=1.0, low=None, high=None)
    return EvaluationResult(
        protocol="p",
        snapshot="s",
        averaging=averaging,
        headline_metric="mpjpe_mm",
        frames=sum(frames),
        sequences=len(frames),
        bootstrap_seed=0,
        mpjpe_mm=anything,
        pa_mpjpe_mm=anything,
        n_mpjpe_mm=anything,
        mpjve_mm=None,
        pck150=anything,
        auc=anything,
        over_frames=anything,
        over_actions=None,
        per_joint=(),
        per_action=(),
        per_sequence=tuple(
            SequenceErrors(
                frames=count,
                mpjpe_mm=error,
                pa_mpjpe_mm=1.0,
                n_mpjpe_mm=1.0,
                pck150=1.0,
                auc=1.0,
                subject=f"TS{number}",
                trial="t",
                camera="c",
                action=actions[number] if actions else "a",
                velocity_frames=0,
                mpjve_mm=None,
            )
            for number, (error, count) in enumerate(zip(errors_mm, frames, strict=True))
        ),
    )


def test_share_by_hand_weighted_by_frames() -> None:
    frames = (100, 300)
    # means over frames: source 95, adapted 75, reference 55
    share = gap_closed(
        [result((80, 100), frames)], [result((60, 80), frames)], [result((40, 60), frames)], bootstrap_seed=0
    )
    assert share is not None
    assert share.value == pytest.approx(0.5)
    assert (share.low, share.high) == (None, None)  # of two people
    five = [[result(3 * one, 3 * frames)] for one in ((80.0, 100.0), (60.0, 80.0), (40.0, 60.0))]
    often = gap_closed(*five, bootstrap_seed=0)
    assert often is not None
    assert often.low == pytest.approx(0.5)  # everybody has the same share, so resampling changes nothing
    assert often.high == pytest.approx(0.5)


def test_share_is_taken_of_the_mean_over_seeds() -> None:
    frames = (10,)
    share = gap_closed(
        [result((100,), frames), result((80,), frames)],
        [result((70,), frames), result((90,), frames)],
        [result((50,), frames), result((70,), frames)],
        bootstrap_seed=0,
    )
    assert share is not None
    assert share.value == pytest.approx((90 - 80) / (90 - 60))
    assert (share.low, share.high) == (None, None)  # one sequence has no spread


def test_bounds_agree_with_all_possible_draws() -> None:
    source, adapted = (90.0, 100.0, 140.0, 95.0, 120.0), (80.0, 95.0, 90.0, 85.0, 110.0)
    reference, frames = (60.0, 70.0, 80.0, 65.0, 75.0), (10, 20, 40, 30, 20)
    share = gap_closed(
        [result(source, frames)], [result(adapted, frames)], [result(reference, frames)], bootstrap_seed=3
    )
    weights = np.array(frames, dtype=float)
    exact = []
    for draw in itertools.product(range(5), repeat=5):
        rows = list(draw)
        before, after, best = (
            np.average(np.array(errors)[rows], weights=weights[rows])
            for errors in (source, adapted, reference)
        )
        exact.append((before - after) / (before - best))
    assert share is not None
    assert share.low is not None
    assert share.high is not None
    low, high = np.percentile(exact, (2.5, 97.5))
    assert share.low == pytest.approx(low, abs=0.03)
    assert share.high == pytest.approx(high, abs=0.03)


def test_actions_count_alike_where_the_protocol_says_so() -> None:
    frames, actions = (1, 1, 98), ("walk", "walk", "sit")
    three = [
        [result(errors, frames, actions, "actions")]
        for errors in ((100.0, 60.0, 100.0), (60.0, 60.0, 100.0), (40.0, 40.0, 60.0))
    ]
    share = gap_closed(*three, bootstrap_seed=0)
    # means over actions: source (80 + 100) / 2, adapted (60 + 100) / 2, reference (40 + 60) / 2
    assert share is not None
    assert share.value == pytest.approx((90 - 80) / (90 - 50))


def test_no_gap_has_no_share() -> None:
    frames = (10, 10)
    assert (
        gap_closed([result((50, 50), frames)], [result((50, 50), frames)], [result((60, 60), frames)], 0)
        is None
    )


def test_a_gap_that_could_be_chance_has_no_share() -> None:
    frames = (10,) * 5
    source, adapted = [result((80,) * 5, frames)], [result((70,) * 5, frames)]
    uncertain, certain = [result((50, 90, 99, 60, 95), frames)], [result((70, 75, 79, 72, 77), frames)]
    assert gap_closed(source, adapted, uncertain, 0) is None
    assert gap_closed(source, adapted, certain, 0) is not None


def test_gain_is_paired_by_sequence() -> None:
    frames = (100, 300, 50, 60, 70)
    before, after = (50, 200, 80, 120, 90), (40, 190, 70, 110, 80)
    gain = gain_mm([result(before, frames)], [result(after, frames)], bootstrap_seed=0)
    assert gain.value == pytest.approx(10)
    assert gain.low == pytest.approx(10)  # though the sequences themselves differ by 150 mm
    assert gain.high == pytest.approx(10)
    harm = gain_mm([result((40, 60), (1, 3))], [result((44, 64), (1, 3))], bootstrap_seed=0)
    assert harm.value == pytest.approx(-4)


def test_lifters_measured_on_other_sequences_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different sequences"):
        gap_closed(
            [result((90, 80), (10, 10))], [result((80, 70), (10, 11))], [result((60, 50), (10, 10))], 0
        )
