"""Collecting the report's evidence: placements before and after alignment, predictions on test frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.stats import wasserstein_distance

from poseshift.flows.experiment.recipe import Method
from poseshift.flows.report.evidence import FloatArray, Placement, RootsAndScales, SamplePose
from poseshift.geometry.alignment import root_relative
from poseshift.geometry.camera import to_screen
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.batches import Batch, BatchTransform, DevicePoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.evaluation.evaluate import predict
from poseshift.training.evaluation.metrics import mpjpe_mm

PLACEMENT_SAMPLES = 4000
QUARTILES = (0.25, 0.5, 0.75)


def placement(
    source: CameraPoses, target: CameraPoses, alignment: Sequence[BatchTransform], *, seed: int
) -> Placement:
    """Where persons appear in the source's images, before and after alignment, and in the target's.

    Parameters
    ----------
    source : CameraPoses
        Labelled poses.
    target : CameraPoses
        The target; only its 2D keypoints are looked at.
    alignment : sequence of BatchTransform
        The transforms of the adaptation, for batches on the CPU.
    seed : int
        Of the sample of poses and of the alignment's draws.
    """
    device = torch.device("cpu")
    generator = torch.Generator(device).manual_seed(seed)
    batch = _sample(source, device, generator)
    aligned = batch
    for transform in alignment:
        aligned = transform(aligned, generator)
    before, after, wanted = (
        _roots_and_scales(one, skeleton(source.skeleton).root)
        for one in (batch, aligned, _sample(target, device, generator))
    )
    return Placement(
        before=before,
        after=after,
        target=wanted,
        distance_before=_distances(before, wanted),
        distance_after=_distances(after, wanted),
    )


def sample_poses(lifters: Mapping[Method, TrainedLifter], test: CameraPoses) -> tuple[SamplePose, ...]:
    """Test frames at the quartiles of the first lifter's error, so that none is chosen by hand.

    Parameters
    ----------
    lifters : mapping
        One trained lifter of each kind; the first one ranks the frames.
    test : CameraPoses
        The test frames.
    """
    truth = root_relative(test.positions_camera, skeleton(test.skeleton).root)
    predicted = {method: predict(trained, test) for method, trained in lifters.items()}
    errors = {method: mpjpe_mm(poses, truth) for method, poses in predicted.items()}
    order = np.argsort(next(iter(errors.values())))
    rows = [int(order[round(share * (len(order) - 1))]) for share in QUARTILES]
    return tuple(
        SamplePose(
            label=f"{test.trials[test.trial[row]].key.trial}, frame {test.frame[row]}",
            truth=np.asarray(truth[row]),
            predicted={method: poses[row] for method, poses in predicted.items()},
            errors_mm={method: float(error[row]) for method, error in errors.items()},
        )
        for row in rows
    )


def _sample(poses: CameraPoses, device: torch.device, generator: torch.Generator) -> Batch:
    columns = DevicePoses.from_columns(poses, device, frames=1)
    rows = torch.randint(len(columns), (min(PLACEMENT_SAMPLES, len(columns)),), generator=generator)
    return columns.batch(rows)


def _roots_and_scales(batch: Batch, root: int) -> RootsAndScales:
    screen = to_screen(batch.keypoints_px, batch.intrinsics.size_px[:, None])[:, 0].double().numpy()
    extent: FloatArray = screen.max(axis=1) - screen.min(axis=1)
    return RootsAndScales(root_x=screen[:, root, 0], root_y=screen[:, root, 1], scale=extent.mean(axis=1))


def _distances(found: RootsAndScales, wanted: RootsAndScales) -> dict[str, float]:
    return {
        name: float(wasserstein_distance(getattr(found, name), getattr(wanted, name)))
        for name in ("root_x", "root_y", "scale")
    }
