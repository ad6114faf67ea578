"""Predicting as a flow; the work is done in :mod:`poseshift.flows.experiment.predict`."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from poseshift.flows.experiment.predict import PredictionOptions, PredictionOutcome, predict_store
from poseshift.flows.runtime.logs import recorded
from poseshift.flows.runtime.retries import patient_task

_predict_task = patient_task(predict_store, name="predict store")


@flow(name="predict", flow_run_name="predict {location}", timeout_seconds=6 * 3600)
def predict_once(
    lifter: Path, location: str, options: PredictionOptions, folder: Path, device: str = "auto"
) -> PredictionOutcome:
    """Lift a store once and put what was written into the Prefect UI."""
    with recorded():
        outcome = _predict_task(lifter, location, options, folder, device)
    create_table_artifact(
        key="prediction",
        table=[
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
