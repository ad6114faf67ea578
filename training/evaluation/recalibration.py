"""Recalibrating a lifter's scales by the target's keypoints alone.

A pose and the rays of its keypoints do not fit exactly: how far its joints lie beside their rays, across the
image, shows a part of its error without any 3D. Over the scale, the median of that distance is known of the
source. Where it is larger before other cameras, the scales are taken as too small by as much. That holds as
far as the part of the error that shows is the same share of it there; errors of depth alone do not show.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.arrays import norm
from poseshift.geometry.projection import normalise
from poseshift.geometry.rays import absolute_on_rays
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.gaps import interpolated
from poseshift.training.answer import RaysSnap
from poseshift.training.checkpoint import LearnedScale, TrainedLifter
from poseshift.training.evaluation.scaled import Predicted, predict_scaled

Float64 = NDArray[np.float64]

_VIEW_ROWS = 2000
"""Rows of the source that the reference is measured on, at least, where there are so many."""


def beside_rays_over_scale(predicted: Predicted, poses: CameraPoses) -> float:
    """Measure how far joints lie beside their rays: the median over frames and joints, over the scale.

    Parameters
    ----------
    predicted : Predicted
        With scales.
    poses : CameraPoses
        The rows, of which keypoints and cameras are looked at alone; gaps are filled over time.

    Raises
    ------
    ValueError
        There are no scales.
    """
    scale = predicted.scales.astype(np.float64)
    root = skeleton(poses.skeleton).root
    others = [joint for joint in range(predicted.positions.shape[1]) if joint != root]
    rays = normalise(interpolated(poses).keypoints_px.astype(np.float64), poses.intrinsics[poses.camera])
    weights = 1 / scale[:, others]
    weights = np.insert(weights, root, weights.max(axis=1), axis=1)
    placed = absolute_on_rays(predicted.positions.astype(np.float64), rays, weights)
    beside = norm(placed[..., :2] - placed[..., 2:] * rays)
    return float(np.median(beside[:, others] / scale[:, others]))


def learned_scale(trained: TrainedLifter, source: CameraPoses) -> LearnedScale:
    """Measure the same on labelled poses that a lifter has learned from, to be stored with it.

    Parameters
    ----------
    trained : TrainedLifter
        One that tells scales. If it puts every joint on its ray, there is nothing to measure.
    source : CameraPoses
        Without gaps, on the skeleton of the lifter.
    """
    if isinstance(trained.answer.rays, RaysSnap):
        return LearnedScale()
    views = source.view_rows
    chosen: list[NDArray[np.intp]] = []
    # Views from all over the source, whole so that clips have their frames.
    for number in np.random.default_rng(0).permutation(len(views)):
        chosen.append(views[number][:_VIEW_ROWS])
        if sum(map(len, chosen)) >= _VIEW_ROWS:
            break
    shown = source.take(np.sort(np.concatenate(chosen)))
    return LearnedScale(beside_rays=beside_rays_over_scale(predict_scaled(trained, shown), shown))


def scale_factor(trained: TrainedLifter, predicted: Predicted, poses: CameraPoses) -> float | None:
    """Tell by what factor a target's keypoints say that a lifter's scales are too small there.

    Parameters
    ----------
    trained : TrainedLifter
        With the reference of its source.
    predicted : Predicted
        Its answers, with scales.
    poses : CameraPoses
        The target's rows; their 3D is not looked at.

    Returns
    -------
    float or None
        None where the lifter has no reference.
    """
    if trained.scale is None or trained.scale.beside_rays is None:
        return None
    return beside_rays_over_scale(predicted, poses) / trained.scale.beside_rays
