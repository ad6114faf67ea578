"""The metrics that an evaluation computes, by name.

Six are built in and have fields of their own in a result; those that a user's own module adds are in
``further``, by their names. A metric gives one number per frame; what a figure averages it over is the
business of :mod:`poseshift.training.evaluation.results`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from poseshift.storage.registry import Registry
from poseshift.training.evaluation import metrics
from poseshift.training.evaluation.intervals import Float64
from poseshift.training.evaluation.protocols import Protocol


@dataclass(frozen=True)
class Compared:
    """Predictions beside the truth, on the joints of a protocol.

    Attributes
    ----------
    predicted, truth : array of shape (n, joints, 3)
        Root-relative metres, camera axes.
    follows : array of bool, shape (n,)
        Whether a frame is the next one after the frame in front of it.
    protocol : Protocol
        What is measured.
    """

    predicted: Float64
    truth: Float64
    follows: NDArray[Any]
    protocol: Protocol

    @cached_property
    def joints_mm(self) -> Float64:
        """Errors of the protocol's joints, (n, joints) millimetres."""
        return metrics.joint_errors_mm(self.predicted, self.truth)

    @property
    def pck_errors_mm(self) -> Float64:
        """Errors of the protocol's PCK joints, (n, joints of PCK) millimetres."""
        return self.joints_mm[:, list(self.protocol.pck_columns)]


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation.

    Attributes
    ----------
    name : str
        In results; ends with the unit where that is not SI.
    title : str
        For tables, with the unit.
    of : callable
        From :class:`Compared` to one number per frame, (n,); NaN where a frame has none.
    """

    name: str
    title: str
    of: Callable[[Compared], Float64]


METRICS = Registry[Metric]("metric")
"""Every metric by name, the built-in ones first."""

for _metric in (
    Metric("mpjpe_mm", "MPJPE, mm", lambda c: c.joints_mm.mean(axis=-1)),
    Metric("pa_mpjpe_mm", "PA-MPJPE, mm", lambda c: metrics.pa_mpjpe_mm(c.predicted, c.truth)),
    Metric("n_mpjpe_mm", "N-MPJPE, mm", lambda c: metrics.n_mpjpe_mm(c.predicted, c.truth)),
    Metric("mpjve_mm", "MPJVE, mm", lambda c: metrics.mpjve_mm(c.predicted, c.truth, c.follows)),
    Metric("pck150", "PCK@150, %", lambda c: metrics.pck(c.pck_errors_mm)),
    Metric("auc", "AUC, %", lambda c: metrics.auc(c.pck_errors_mm, c.protocol.thresholds_mm)),
):
    METRICS.add(_metric.name, _metric)

BUILT_IN = tuple(METRICS)
"""Names of the metrics that have fields of their own in a result."""


def further() -> tuple[str, ...]:
    """Names of the metrics that were added to the built-in ones."""
    return tuple(name for name in METRICS if name not in BUILT_IN)
