"""Evaluating one trained lifter under several protocols, and keeping what it predicted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import Field

from poseshift.adaptation.test_time import TestTimeOptimisation, predict_optimised
from poseshift.flows.experiment.data import StoreInputs, open_store
from poseshift.flows.experiment.fitting import resolve_device
from poseshift.flows.experiment.predictions import write_predictions
from poseshift.flows.experiment.recipe import Test
from poseshift.flows.experiment.stage import StageOutcome, run_stage
from poseshift.storage.columns import CameraPoses
from poseshift.storage.inspection import TrialIntrinsics, find_intrinsics
from poseshift.storage.model import FrozenModel, is_left_out, is_still
from poseshift.storage.provenance import digest_file, git_commit, software_versions
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import (
    DESCRIPTION_FILE,
    WEIGHTS_FILE,
    TrainedLifter,
    describe_lifter,
    load_lifter,
)
from poseshift.training.evaluation.answering import Mapper
from poseshift.training.evaluation.evaluate import evaluate, rows_within
from poseshift.training.evaluation.protocols import Protocol, TestTime, protocol
from poseshift.training.evaluation.recalibration import scale_factor
from poseshift.training.evaluation.results import EvaluationResult, gaps_told
from poseshift.training.evaluation.scaled import Coverage, Predicted, coverage, predict_scaled
from poseshift.training.shipped import lifter_folder

logger = logging.getLogger(__name__)


class EvaluationInputs(FrozenModel):
    """What an evaluation depends on, in content."""

    weights_sha256: str
    """Digest of the lifter's weights."""
    description_sha256: str
    """Digest of the lifter's configuration and encoding."""
    test: StoreInputs
    """The test data."""
    protocols: tuple[str, ...]
    """Names of the protocols."""
    test_time: TestTimeOptimisation | None = Field(default=None, exclude_if=is_left_out)
    """How the lifter's input is optimised before it answers; None where protocols alone say how it does."""


class EvaluationRecord(FrozenModel):
    """One lifter's results."""

    snapshot: str
    """Snapshot of the test store."""
    restaged_from: str | None
    """The motion behind restaged test data; None for recordings."""
    intrinsics: tuple[TrialIntrinsics, ...] = ()
    """Where the intrinsics of the test's cameras come from, for every trial that says so."""
    clip_hz: float | None = Field(default=None, exclude_if=is_left_out)
    """Frames per second at which a lifter of clips was shown the motion, which are those that it has learned;
    None for single frames, and for lifters that do not say."""
    results: tuple[EvaluationResult, ...] = Field(min_length=1)
    """One result per protocol."""
    test_time: str | None = Field(default=None, exclude_if=is_left_out)
    """How the lifter's input was optimised, and whether that took the true root; None where it was not."""
    coverage: tuple[Coverage, ...] = Field(default=(), exclude_if=is_still(()))
    """Per protocol, how often the truth lies within the lifter's scales; empty where it tells none."""
    device: str | None = None
    """Where the lifter predicted."""
    git_commit: str | None = None
    """Commit of the program, when it ran from a checkout."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the software."""

    def under(self, name: str) -> EvaluationResult:
        """Find the result under one protocol; KeyError when it was not evaluated."""
        for result in self.results:
            if result.protocol == name:
                return result
        raise KeyError(
            f"not evaluated under {name!r}; there are {', '.join(one.protocol for one in self.results)}"
        )


Workers = Callable[[], AbstractContextManager[Mapper]]
"""Opens what applies a function to parts of the data: this process, or the workers of a cluster."""


def evaluate_lifter(
    lifter: Path,
    test: Test,
    folder: Path,
    device: str = "auto",
    workers: Workers = lambda: nullcontext(map),
    test_time: TestTimeOptimisation | None = None,
) -> StageOutcome[EvaluationRecord]:
    """Evaluate a trained lifter, unless it is done already for the same weights, data and protocols.

    Parameters
    ----------
    lifter : Path
        Folder that :func:`poseshift.training.checkpoint.save_lifter` wrote, or the name of a shipped lifter.
    test : Test
        Test data and protocols.
    folder : Path
        The stage's folder; gets the predictions as well, see
        :mod:`poseshift.flows.experiment.predictions`.
    device : str
        Where to predict.
    workers : callable
        Opens what predicts, as a context manager; by default this process.
    test_time : TestTimeOptimisation or None
        How the lifter's input is optimised, in place of how the protocols have it answer.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no lifter, or a protocol does not measure this data set.
    """
    store = open_store(test.data)
    inputs = _inputs(lifter, test, store).model_copy(update={"test_time": test_time})

    def work(place: Path) -> EvaluationRecord:
        on = resolve_device(device)
        trained = load_lifter(lifter_folder(lifter), on)
        results, coverages = [], []
        shown = (test.data.keypoints, test.data.least_confidence)
        with workers() as over:
            answers = _Answers(trained, test_time, over, store, shown)
            for name in test.protocols:
                chosen = protocol(name)
                chosen.require_measurable(trained.lifter.skeleton)
                poses = chosen.read(store, *shown).on_skeleton(trained.lifter.skeleton)
                predicted = answers.to(poses, chosen)
                result = evaluate(predicted.positions, poses, chosen)
                if predicted.scale_m is not None:
                    factor = scale_factor(trained, predicted, poses)
                    coverages.append(coverage(predicted, poses, chosen, factor))
                gaps = gaps_told(result.interpolated, result.frames)
                if gaps is not None:
                    logger.warning("%s, keypoints of %s: %s", name, test.data.keypoints, gaps)
                results.append(result)
                write_predictions(place, name, predicted.positions, poses)
        return EvaluationRecord(
            snapshot=store.snapshot,
            restaged_from=store.attributes.restaged_from,
            intrinsics=find_intrinsics(store),
            clip_hz=trained.clip_hz,
            results=tuple(results),
            test_time=None if test_time is None else str(test_time),
            coverage=tuple(coverages),
            device=str(on),
            git_commit=git_commit(),
            versions=software_versions(),
        )

    return run_stage(folder, inputs, EvaluationRecord, work)


def evaluation_inputs(lifter: Path, test: Test) -> EvaluationInputs:
    """Describe what an evaluation would depend on now; raises what :func:`evaluate_lifter` raises."""
    return _inputs(lifter, test, open_store(test.data))


def _inputs(lifter: Path, test: Test, store: PoseStore) -> EvaluationInputs:
    place = lifter_folder(lifter)
    describe_lifter(place)  # raises where it is none
    return EvaluationInputs(
        weights_sha256=digest_file(place / WEIGHTS_FILE, place).sha256,
        description_sha256=digest_file(place / DESCRIPTION_FILE, place).sha256,
        test=StoreInputs(
            dataset=store.dataset,
            snapshot=store.snapshot,
            keypoints=test.data.keypoints,
            least_confidence=test.data.least_confidence,
        ),
        protocols=test.protocols,
    )


@dataclass
class _Answers:
    """Answers of a lifter under one protocol after another; those of the last are kept for the next."""

    trained: TrainedLifter
    test_time: TestTimeOptimisation | None
    over: Mapper
    store: PoseStore
    shown: tuple[str, float]
    _last: tuple[tuple[Selection, TestTime], Predicted] | None = field(default=None, init=False)

    def to(self, poses: CameraPoses, chosen: Protocol) -> Predicted:
        """Answer the rows of a protocol; a lifter of clips also sees the frames around them.

        So does one of single frames where keypoints are missing: gaps are filled from the same frames for
        all. Protocols that differ in what they measure alone get the same answers.
        """
        selection = chosen.selection(*self.shown)
        if self.test_time is None:  # optimising may take the true root, answering never sees 3D
            selection = replace(selection, positions=None)
        asked = (selection, chosen.test_time)
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        self._last = None  # so that two are never held at once
        if self.trained.lifter.frames == 1 and poses.whole.all():
            predicted = self._predict(poses, chosen)
        else:
            around = read_camera_poses(self.store, chosen.context(*self.shown))
            context = around.on_skeleton(self.trained.lifter.skeleton)
            predicted = self._predict(context, chosen).take(rows_within(poses, context))
        self._last = asked, predicted
        return predicted

    def _predict(self, poses: CameraPoses, chosen: Protocol) -> Predicted:
        if self.test_time is None:
            return predict_scaled(self.trained, poses, test_time=chosen.test_time, over=self.over)
        return predict_optimised(self.trained, poses, self.test_time, over=self.over)
