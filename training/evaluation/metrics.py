"""Errors of predicted poses, frame by frame, and their reductions to one number.

Every metric is two steps that stay apart: a per-frame array here, and an explicit mean (over frames, or over
groups of frames). Definitions follow VideoPose3D (MPJPE, PA-MPJPE, N-MPJPE, MPJVE) and the evaluation scripts
of MPI-INF-3DHP (PCK, AUC). Which joints, which positions and which mean a figure takes is the business of
:mod:`poseshift.training.evaluation.protocols`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.alignment import scale_align, similarity_align

Float64 = NDArray[np.float64]
Poses = NDArray[np.floating]
Alignment = Literal["none", "scale", "similarity"]
"""What is fitted before errors are measured: nothing, one scale, or scale, rotation and translation."""

MM_PER_M = 1000.0


def joint_errors_mm(predicted: Poses, target: Poses) -> Float64:
    """Euclidean distance of every joint.

    Parameters
    ----------
    predicted, target : array of shape (n, joints, 3)
        Metres, both root-relative or both absolute.

    Returns
    -------
    array (n, joints), millimetres.

    Raises
    ------
    ValueError
        When the shapes differ or are not (n, joints, 3).

    Examples
    --------
    >>> joint_errors_mm(np.array([[[0.0, 0.0, 0.0]]]), np.array([[[0.003, 0.004, 0.0]]])).round(6).tolist()
    [[5.0]]
    """
    first, second = _pair(predicted, target)
    return np.asarray(np.linalg.norm(first - second, axis=-1) * MM_PER_M)


def mpjpe_mm(predicted: Poses, target: Poses) -> Float64:
    """Mean per-joint position error of each frame: (n, joints, 3) metres twice -> (n,) millimetres.

    Examples
    --------
    Errors of 0 and 10 mm have a mean of 5.

    >>> mpjpe_mm(np.zeros((1, 2, 3)), np.array([[[0.0, 0.0, 0.0], [0.01, 0.0, 0.0]]])).tolist()
    [5.0]
    """
    return np.asarray(joint_errors_mm(predicted, target).mean(axis=-1))


def n_mpjpe_mm(predicted: Poses, target: Poses) -> Float64:
    """MPJPE of each frame after the best scale (Rhodin et al., CVPR 2018).

    Parameters
    ----------
    predicted, target : array of shape (n, joints, 3)
        Metres, root-relative: the scale is about the origin.

    Returns
    -------
    array (n,), millimetres.

    Examples
    --------
    >>> pose = np.array([[[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> n_mpjpe_mm(2 * pose, pose).tolist()
    [0.0]
    """
    first, second = _pair(predicted, target)
    return mpjpe_mm(scale_align(first, second), second)


def pa_mpjpe_mm(predicted: Poses, target: Poses) -> Float64:
    """MPJPE of each frame after the best similarity transform, without reflections ("Protocol 2").

    Parameters
    ----------
    predicted, target : array of shape (n, joints, 3)
        Metres.

    Returns
    -------
    array (n,), millimetres.

    Examples
    --------
    >>> pose = np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> bool(pa_mpjpe_mm(2 * pose + 1, pose)[0] < 1e-9)
    True
    """
    first, second = _pair(predicted, target)
    return mpjpe_mm(similarity_align(first, second), second)


POSITION_ERRORS: Mapping[Alignment, Callable[[Poses, Poses], Float64]] = MappingProxyType(
    {"none": mpjpe_mm, "scale": n_mpjpe_mm, "similarity": pa_mpjpe_mm}
)
"""The position error that belongs to each alignment."""


def mpjve_mm(predicted: Poses, target: Poses, follows: NDArray[np.bool_]) -> Float64:
    """Mean per-joint velocity error: MPJPE of the differences between successive frames.

    Parameters
    ----------
    predicted, target : array of shape (n, joints, 3)
        Metres, root-relative, in the order of time.
    follows : array of bool_
        (n,) whether a row is the next frame of the same sequence as the row before it.

    Returns
    -------
    array (n,), millimetres per frame; NaN where there is no frame before.
    """
    first, second = _pair(predicted, target)
    if len(first) and follows[0]:
        raise ValueError("the first row follows no other: follows[0] must be False")
    errors = np.full(len(first), np.nan)
    errors[1:] = mpjpe_mm(np.diff(first, axis=0), np.diff(second, axis=0))
    errors[~follows] = np.nan
    return errors


def pck(errors_mm: Float64, threshold_mm: float = 150.0) -> Float64:
    """Percentage of correct keypoints of each frame: joints whose error is less than (<) the threshold.

    Parameters
    ----------
    errors_mm : array of float64 of shape (n, joints)
        Millimetres.
    threshold_mm : float
        An error equal to it is wrong, as in the scripts of MPI-INF-3DHP.

    Returns
    -------
    array (n,), percent.

    Examples
    --------
    The threshold is strict: an error of exactly 150 mm does not count.

    >>> pck(np.array([[0.0, 149.0, 150.0, 300.0]])).tolist()
    [50.0]
    """
    return np.asarray(100.0 * (errors_mm < threshold_mm).mean(axis=-1))


def auc(errors_mm: Float64, thresholds_mm: Sequence[float]) -> Float64:
    """Area under the PCK curve of each frame: the mean of PCK over the thresholds.

    A threshold of zero counts against everybody: with 0:5:150 the best possible AUC is 30/31 = 96.8 %.

    Parameters
    ----------
    errors_mm : array of float64 of shape (n, joints)
        Millimetres.
    thresholds_mm : Sequence[float]
        Ascending.

    Returns
    -------
    array (n,), percent.

    Examples
    --------
    >>> auc(np.array([[10.0]]), (5.0, 15.0)).tolist()
    [50.0]
    """
    thresholds = np.asarray(thresholds_mm, dtype=np.float64)
    if len(thresholds) == 0 or np.any(np.diff(thresholds) <= 0):
        raise ValueError(f"thresholds must ascend and there must be at least one; got {thresholds_mm}")
    # side="right" counts the thresholds that an error reaches or passes: those at which it is wrong.
    wrong = np.searchsorted(thresholds, errors_mm, side="right")
    return np.asarray(100.0 * (1.0 - wrong.mean(axis=-1) / len(thresholds)))


def mean_over_frames(values: Float64) -> float:
    """Mean of per-frame values (n,), every frame alike; frames without a value (NaN) are left out.

    Examples
    --------
    >>> mean_over_frames(np.array([1.0, 2.0, 6.0]))
    3.0
    """
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def mean_over_groups(values: Float64, groups: NDArray[np.integer]) -> float:
    """Mean of the groups' means, every group alike, such as the mean over the 15 actions of Human3.6M.

    Parameters
    ----------
    values : array of float64
        (n,) per-frame values; NaN frames are left out, and groups without any value.
    groups : array of integer
        (n,) group number of each frame.

    Examples
    --------
    Groups count alike, however many frames they have.

    >>> mean_over_groups(np.array([1.0, 1.0, 4.0]), np.array([0, 0, 1]))
    2.5
    """
    known = ~np.isnan(values)
    if not known.any():
        return float("nan")
    _, group = np.unique(groups[known], return_inverse=True)
    return float((np.bincount(group, weights=values[known]) / np.bincount(group)).mean())


def _pair(predicted: Poses, target: Poses) -> tuple[Float64, Float64]:
    first = np.asarray(predicted, dtype=np.float64)
    second = np.asarray(target, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 3 or first.shape[-1] != 3:
        raise ValueError(
            f"predicted has shape {first.shape} and target {second.shape}; both must be (n, joints, 3)"
        )
    return first, second
