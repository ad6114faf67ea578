"""What an imported trial must be before it becomes part of a store: what `prepare` sees to for raw releases.

Exchange files say neither units nor joint order, and 2D of a detector looks like ground truth. Each of these
shows in the numbers: in the lengths of bones, and in where the 3D projects to.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.bones import bone_lengths
from poseshift.geometry.skeleton import Skeleton
from poseshift.preprocessing.quality import assess, projected_px, reprojection_errors_px
from poseshift.storage.exchange.detections import attach_detections
from poseshift.storage.schema import Trial

BODY_M = (1.2, 8.0)
"""Sum of all bones of a person in metres: about 4 for an adult on 17 joints."""

LONGEST_SHARE = 0.25
"""Of that sum, the most that one bone has; a thigh has about 0.11."""

MOST_LOPSIDED = 1.6
"""Ratio of mean lengths of a left bone and its right one."""

ROOT_AT_ORIGIN_M = 1e-4
NORMALISED_PX = 4.0
MEDIAN_REPROJECTION_PX = 6.5
"""Of TS2 of MPI-INF-3DHP, calibration and annotations are about 5 px apart; all other releases fit better."""

_USUAL_M = 4.5
_UNITS = {"millimetres": 1e-3, "centimetres": 1e-2, "inches": 0.0254}


class UnfitTrialError(ValueError):
    """A trial that is not in metres, on the joints, in the axes or in the pixels that a store holds."""


def accepted(trial: Trial, skeleton: Skeleton, detector: str | None = None) -> Trial:
    """Return an imported trial as a store may hold it.

    Parameters
    ----------
    trial : Trial
        As it was read.
    skeleton : Skeleton
        Its joint set.
    detector : str or None
        Name of the detector that the 2D is of: it is kept under that name, and the projected 3D becomes the
        ground truth. None says that the 2D is ground truth.

    Raises
    ------
    UnfitTrialError
        The trial is not what a store holds.
    """
    valid = _valid_part(trial)
    require_positions(valid, skeleton)
    require_pixels(valid)
    if detector is None:
        require_projection(valid, skeleton)
        return assess(trial, skeleton)
    if trial.positions_kind == "universal":
        raise UnfitTrialError(
            f"trial {trial.key.path!r}: universal 3D is of another size than the people in the images, so no "
            "ground truth can be projected from it beside a detector's 2D; import annotated 3D"
        )
    projected = replace(trial, keypoints_2d=projected_px(trial).astype(np.float32))
    detected = trial.detections.get(detector, trial.labelled[1])  # with confidences where the file has them
    return assess(attach_detections(projected, detector, list(detected)), skeleton)


def require_positions(trial: Trial, skeleton: Skeleton) -> None:
    """Raise :class:`UnfitTrialError` unless the 3D is a person in metres, on these joints, in a place."""
    lengths = np.asarray(bone_lengths(trial.labelled[0].astype(np.float64), skeleton))
    body = float(np.median(lengths.sum(axis=1)))
    where = f"trial {trial.key.path!r}"
    if not BODY_M[0] <= body <= BODY_M[1]:
        units = {name: body * to_m for name, to_m in _UNITS.items() if BODY_M[0] <= body * to_m <= BODY_M[1]}
        unit = min(units, key=lambda name: abs(units[name] - _USUAL_M), default=None)
        guess = f"the file seems to be in {unit}; " if unit else ""
        raise UnfitTrialError(
            f"{where}: all bones together are {body:,.4g} m long, and {BODY_M[0]:g} to {BODY_M[1]:g} m in a "
            f"person; {guess}convert it to metres"
        )
    _require_joint_order(where, lengths.mean(axis=0), skeleton)
    if float(np.abs(trial.labelled[0][:, skeleton.root]).max()) < ROOT_AT_ORIGIN_M:
        raise UnfitTrialError(
            f"{where}: the {skeleton.joint_names[skeleton.root]} is at the origin in every frame; "
            "root-relative 3D says nothing of where people stand. Import positions in the world or camera"
        )


def require_pixels(trial: Trial) -> None:
    """Raise :class:`UnfitTrialError` when the 2D is normalised, that is, not in pixels."""
    largest = float(np.abs(trial.labelled[1]).max())
    if largest <= NORMALISED_PX < min(trial.cameras[0].size_px):
        raise UnfitTrialError(
            f"trial {trial.key.path!r}: no 2D coordinate is larger than {largest:.3g}, in images of "
            f"{' x '.join(map(str, trial.cameras[0].size_px))} pixels; convert it to pixels"
        )


def require_projection(trial: Trial, skeleton: Skeleton) -> None:
    """Raise :class:`UnfitTrialError` when the 2D is not the projection of the 3D.

    Universal 3D is of another size than the people in the images, about the same pelvis: there the pelvis
    alone is compared.
    """
    errors_px = reprojection_errors_px(trial)
    if trial.positions_kind == "universal":
        errors_px = errors_px[..., skeleton.root]
    off = float(np.median(errors_px))
    if not off <= MEDIAN_REPROJECTION_PX:
        raise UnfitTrialError(
            f"trial {trial.key.path!r}: the 2D is off the projected 3D by {off:.1f} px in the median, and "
            f"ground truth by at most {MEDIAN_REPROJECTION_PX:g} px. A detector's keypoints need "
            "--detector NAME; otherwise cameras, axes or frames of the two do not belong together"
        )


def _valid_part(trial: Trial) -> Trial:
    """Return the frames that the file marks as valid: of the others nothing can be asked."""
    if trial.valid is None or not trial.valid.any():
        return trial
    return replace(
        trial,
        positions_world=trial.labelled[0][trial.valid],
        keypoints_2d=trial.labelled[1][:, trial.valid],
    )


def _require_joint_order(where: str, means: NDArray[np.float64], skeleton: Skeleton) -> None:
    bone_of_child = {child: bone for bone, (_, child) in enumerate(skeleton.bones)}
    longest = int(np.argmax(means))
    ratios = [
        means[bone_of_child[left]] / max(float(means[bone_of_child[right]]), 1e-9)
        for left, right in zip(skeleton.left, skeleton.right, strict=True)
    ]
    lopsided = max((max(ratio, 1 / max(ratio, 1e-9)) for ratio in ratios), default=1.0)
    if means[longest] > LONGEST_SHARE * means.sum() or lopsided > MOST_LOPSIDED:
        parent, child = (skeleton.joint_names[joint] for joint in skeleton.bones[longest])
        raise UnfitTrialError(
            f"{where}: the bones are not a person's (from {parent} to {child} {means[longest]:.2f} m; left "
            f"and right differ by up to {lopsided:.1f}); the joints seem to be in another order than "
            f"{', '.join(skeleton.joint_names)}"
        )
