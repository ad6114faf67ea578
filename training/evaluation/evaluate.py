"""Measuring answers by a protocol.

Measuring knows nothing of networks: answers come from :mod:`poseshift.training.evaluation.answering`. Results
and their intervals are defined in :mod:`poseshift.training.evaluation.results`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.alignment import root_relative
from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.storage.frame_rates import sampling_hz
from poseshift.storage.schema import TrialKey
from poseshift.training.evaluation import metrics
from poseshift.training.evaluation.intervals import Float64, draw_weights
from poseshift.training.evaluation.metric_list import BUILT_IN, METRICS, Compared, Metric, further
from poseshift.training.evaluation.protocols import Protocol
from poseshift.training.evaluation.results import (
    ActionErrors,
    BuiltIn,
    Errors,
    EvaluationResult,
    JointErrors,
    SequenceErrors,
    figure,
)

ACTIVITIES = (
    *("Standing/Walking", "Exercising", "Sitting", "Reaching/Crouching"),
    *("On The Floor", "Sports", "Miscellaneous"),
)
"""Activities 1 to 7 of the test set of MPI-INF-3DHP."""

_HEADLINES: Mapping[metrics.Alignment, BuiltIn] = MappingProxyType(
    {"none": "mpjpe_mm", "scale": "n_mpjpe_mm", "similarity": "pa_mpjpe_mm"}
)


def rows_within(poses: CameraPoses, context: CameraPoses) -> NDArray[np.intp]:
    """Find poses in a wider selection of the same store: (n,) row numbers of ``context``.

    Lets a lifter of clips see frames that are not measured, such as those that MPI-INF-3DHP marks as invalid:
    ``predict(trained, context)[rows_within(poses, context)]``.

    Raises
    ------
    ValueError
        When a row of ``poses`` is not in ``context``.
    """
    views: dict[tuple[TrialKey, str], int] = {}
    wanted, known = _row_numbers(poses, views), _row_numbers(context, views)
    there = np.isin(wanted, known)
    if not there.all():
        row = int(np.argmin(there))
        key, camera = poses.trials[poses.trial[row]].key, poses.cameras[poses.camera[row]].name
        lacking = (key.subject, key.trial, camera, int(poses.frame[row]))
        raise ValueError(f"the context lacks {lacking}; read both from the same store")
    order = np.argsort(known, kind="stable")
    return np.asarray(order[np.searchsorted(known, wanted, sorter=order)])


def evaluate(
    predicted: NDArray[np.floating], poses: CameraPoses, protocol: Protocol, *, seed: int = 0
) -> EvaluationResult:
    """Measure predictions by a protocol.

    Parameters
    ----------
    predicted : array of floating of shape (n, joints, 3)
        Metres, camera axes; root-relative or absolute, on the skeleton of the poses.
    poses : CameraPoses
        The n rows that the protocol selects (``protocol.read(store)``), with keypoints as they were detected:
        those that lack one are counted in the result.
    protocol : Protocol
        What to measure.
    seed : int
        Of the bootstrap.

    Raises
    ------
    ValueError
        When shapes differ or a prediction is not finite.
    """
    _require_predictions(predicted, poses)
    sequence = _sequence_of_rows(poses)
    measured = _measure(predicted, poses, sequence, protocol)

    per_sequence = _sequence_table(measured, poses, sequence)
    weights = draw_weights([row.subject for row in per_sequence], seed)
    tables = (per_sequence,)
    headline = _HEADLINES[protocol.alignment]
    any_velocity = any(row.velocity_frames for row in per_sequence)
    return EvaluationResult(
        protocol=protocol.name,
        snapshot=poses.snapshot,
        averaging=protocol.averaging,
        headline_metric=headline,
        frames=len(poses),
        sequences=len(per_sequence),
        sampling_hz=None if math.isnan(rate := sampling_hz(poses)) else rate,
        interpolated=int((~poses.whole).sum()),
        bootstrap_seed=seed,
        mpjpe_mm=figure(tables, "mpjpe_mm", protocol.averaging, weights),
        pa_mpjpe_mm=figure(tables, "pa_mpjpe_mm", protocol.averaging, weights),
        n_mpjpe_mm=figure(tables, "n_mpjpe_mm", protocol.averaging, weights),
        mpjve_mm=figure(tables, "mpjve_mm", protocol.averaging, weights) if any_velocity else None,
        pck150=figure(tables, "pck150", protocol.averaging, weights),
        auc=figure(tables, "auc", protocol.averaging, weights),
        over_frames=figure(tables, headline, "frames", weights),
        over_actions=None if poses.activity.any() else figure(tables, headline, "actions", weights),
        per_joint=_joint_table(measured, protocol),
        per_action=_action_table(measured, poses),
        per_sequence=per_sequence,
        further={name: figure(tables, name, protocol.averaging, weights) for name in further()},
    )


def frame_errors_mm(predicted: NDArray[np.floating], poses: CameraPoses, protocol: Protocol) -> Float64:
    """Measure every frame by the metric that a protocol is known by.

    Parameters
    ----------
    predicted : array of floating of shape (n, joints, 3)
        Metres, camera axes; root-relative or absolute, on the skeleton of the poses.
    poses : CameraPoses
        The n rows that the protocol selects.
    protocol : Protocol
        What to measure.

    Returns
    -------
    array (n,), millimetres; their mean is ``over_frames`` of :func:`evaluate`.

    Raises
    ------
    ValueError
        When shapes differ or a prediction is not finite.
    """
    _require_predictions(predicted, poses)
    headline = METRICS[_HEADLINES[protocol.alignment]]
    blocks = _blocks(predicted, poses, _sequence_of_rows(poses), protocol)
    return np.concatenate([_values(headline, compared) for _, compared in blocks])


@dataclass(frozen=True)
class _Measured:
    """Joint errors (n, joints) and every metric's values (n,); NaN where a frame has none."""

    joints_mm: Float64
    values: Mapping[str, Float64]

    def mean(self, rows: NDArray[np.intp]) -> Errors:
        """Means over the chosen frames."""
        return Errors(
            frames=len(rows),
            **{
                name: metrics.mean_over_frames(self.values[name][rows])
                for name in BUILT_IN
                if name in Errors.model_fields
            },
        )

    def further(self, rows: NDArray[np.intp]) -> dict[str, float | None]:
        """Means over the chosen frames that have a value, of the metrics that were added."""
        return {name: _mean_of_known(self.values[name][rows]) for name in further()}


def _mean_of_known(values: Float64) -> float | None:
    known = values[~np.isnan(values)]
    return metrics.mean_over_frames(known) if len(known) else None


def _require_predictions(predicted: NDArray[np.floating], poses: CameraPoses) -> None:
    if predicted.shape != poses.positions_camera.shape:
        raise ValueError(
            f"predictions of shape {predicted.shape} do not match poses of shape "
            f"{poses.positions_camera.shape}"
        )
    if not np.isfinite(predicted).all():
        finite = np.isfinite(predicted).all(axis=(1, 2))
        raise ValueError(
            f"{int((~finite).sum())} of {len(finite)} predictions are not finite (first: row "
            f"{int(np.argmin(finite))}); the lifter diverged or its keypoints have gaps"
        )


def _on_protocol_joints(positions: NDArray[np.floating], poses: CameraPoses, protocol: Protocol) -> Float64:
    """Root-relative positions on the protocol's joints, (n, joints of the protocol, 3) metres."""
    # Frames lie side by side in memory: loops over three coordinates are several times slower.
    found = positions.astype(np.float64, order="F")
    if poses.skeleton != protocol.skeleton:
        found = np.asfortranarray(mapping(poses.skeleton, protocol.skeleton).apply(found))
    relative = root_relative(found, skeleton(protocol.skeleton).root)
    return np.asfortranarray(relative[:, list(protocol.joint_indices)])


_ROWS_AT_ONCE = 1024
"""Fewest rows of a block: small enough that what is computed of them stays in the processor's cache."""


def _blocks(
    predicted: NDArray[np.floating], poses: CameraPoses, sequence: NDArray[np.intp], protocol: Protocol
) -> Iterator[tuple[slice, Compared]]:
    """Compare rows block by block, each of whole sequences, in which metrics may look at neighbours."""
    follows = _follows(poses, sequence, protocol.frame_step)
    first = 0
    for last in (*np.flatnonzero(np.diff(sequence)) + 1, len(poses)):
        if last - first < _ROWS_AT_ONCE and last < len(poses):
            continue
        rows = slice(first, int(last))
        ours, truth = (
            _on_protocol_joints(positions[rows], poses, protocol)
            for positions in (predicted, poses.positions_camera)
        )
        yield rows, Compared(ours, truth, follows[rows], protocol)
        first = int(last)


def _measure(
    predicted: NDArray[np.floating], poses: CameraPoses, sequence: NDArray[np.intp], protocol: Protocol
) -> _Measured:
    joints_mm = np.empty((len(poses), len(protocol.joints)), order="F")
    values = {name: np.empty(len(poses)) for name in METRICS}
    for rows, compared in _blocks(predicted, poses, sequence, protocol):
        joints_mm[rows] = compared.joints_mm
        for name, metric in METRICS.items():
            values[name][rows] = _values(metric, compared)
    return _Measured(joints_mm, values)


def _values(metric: Metric, compared: Compared) -> Float64:
    values = np.asarray(metric.of(compared), dtype=np.float64)
    if values.shape != compared.follows.shape:
        raise ValueError(
            f"metric {metric.name} gave an array of shape {values.shape} for {len(compared.follows)} frames; "
            "it must give one number per frame"
        )
    return values


def _sequence_of_rows(poses: CameraPoses) -> NDArray[np.intp]:
    """Return the number of each row's sequence (trial and camera), in the order of the tables."""
    key = poses.trial.astype(np.int64) * len(poses.cameras) + poses.camera
    return np.asarray(np.unique(key, return_inverse=True)[1])


def _follows(poses: CameraPoses, sequence: NDArray[np.intp], frame_step: int) -> NDArray[np.bool_]:
    next_frame = (np.diff(poses.frame) == frame_step) & (np.diff(sequence) == 0)
    return np.concatenate([[False], next_frame])


def _sequence_table(
    measured: _Measured, poses: CameraPoses, sequence: NDArray[np.intp]
) -> tuple[SequenceErrors, ...]:
    table = []
    in_order = np.argsort(sequence, kind="stable")
    for rows in np.split(in_order, np.flatnonzero(np.diff(sequence[in_order])) + 1):
        first = rows[0]
        trial = poses.trials[poses.trial[first]]
        velocity = measured.values["mpjve_mm"][rows]
        velocity_frames = int((~np.isnan(velocity)).sum())
        table.append(
            SequenceErrors(
                **measured.mean(rows).model_dump(),
                subject=trial.key.subject,
                trial=trial.key.trial,
                camera=poses.cameras[poses.camera[first]].name,
                action=trial.action,
                velocity_frames=velocity_frames,
                mpjve_mm=metrics.mean_over_frames(velocity) if velocity_frames else None,
                further=measured.further(rows),
            )
        )
    return tuple(table)


def _action_table(measured: _Measured, poses: CameraPoses) -> tuple[ActionErrors, ...]:
    """Rows by activity where frames have one, else by their trial's action; sorted as numbered or by name."""
    if poses.activity.any():
        labels: tuple[str, ...] = ("Unlabelled", *ACTIVITIES)
        label = poses.activity.astype(np.intp)
    else:
        labels = tuple(sorted({trial.action for trial in poses.trials}))
        of_trial = np.asarray([labels.index(trial.action) for trial in poses.trials])
        label = of_trial[poses.trial]
    rows_of = [np.flatnonzero(label == number) for number in range(len(labels))]
    return tuple(
        ActionErrors(**measured.mean(rows).model_dump(), action=name)
        for name, rows in zip(labels, rows_of, strict=True)
        if len(rows)
    )


def _joint_table(measured: _Measured, protocol: Protocol) -> tuple[JointErrors, ...]:
    return tuple(
        JointErrors(
            joint=name,
            mpjpe_mm=metrics.mean_over_frames(errors),
            pck150=metrics.mean_over_frames(metrics.pck(errors[:, None]))
            if name in protocol.pck_joints
            else None,
        )
        for name, errors in zip(protocol.joints, measured.joints_mm.T, strict=True)
    )


def _row_numbers(poses: CameraPoses, views: dict[tuple[TrialKey, str], int]) -> NDArray[np.int64]:
    """Give each row a number that says its trial, camera and frame; views not yet seen are numbered on."""
    count = len(poses.cameras)
    pairs, pair = np.unique(poses.trial.astype(np.int64) * count + poses.camera, return_inverse=True)
    view = [
        views.setdefault((poses.trials[one // count].key, poses.cameras[one % count].name), len(views))
        for one in pairs
    ]
    return np.asarray((np.asarray(view, dtype=np.int64)[pair] << 32) + poses.frame)
