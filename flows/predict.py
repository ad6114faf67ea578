"""Predicting as a run; the work is done in :mod:`poseshift.flows.experiment.predict`."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.experiment.predict import PredictionOptions, PredictionOutcome, predict_store
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.orchestrator import orchestrator
from poseshift.flows.runtime.retries import patient_task

_predict_task = patient_task(predict_store, name="predict store")


def predict_once(
    lifter: Path, location: str, options: PredictionOptions, folder: Path, device: str = "auto"
) -> PredictionOutcome:
    """Lift a store once and show what was written."""
    with recorded():
        outcome = _predict_task(lifter, location, options, folder, device)
    orchestrator().show_table(
        key="prediction",
        rows=[
            {
                "subject": one.subject,
                "trial": one.trial,
                "camera": one.camera,
                "frames": one.frames,
                "axes": one.axes,
                "interpolated_frames": one.interpolated_frames,
            }
            for one in outcome.record.motions
        ],
        description=f"{lifter} on {location}; files in {folder}",
    )
    return outcome
