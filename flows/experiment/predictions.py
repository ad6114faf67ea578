"""What a lifter predicted in an evaluation: one npz file of plain arrays per protocol.

``positions_camera`` (n, joints, 3) are root-relative metres in camera axes, in the order of the protocol's
rows; ``trial`` (n,) and ``camera`` (n,) number ``trials`` and ``cameras``, ``frame`` (n,) counts in the
trial.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.experiment.stage import recorded_inputs
from poseshift.storage.columns import CameraPoses
from poseshift.storage.exchange.toolkit_3dhp import export_predictions
from poseshift.storage.files import write_atomically
from poseshift.storage.schema import Float32
from poseshift.training.evaluation.protocols import protocol as protocol_named


@dataclass(frozen=True)
class Predictions:
    """What was predicted, row by row.

    Attributes
    ----------
    positions_camera : array of float32 of shape (n, joints, 3)
        Metres, camera axes.
    trial, camera : array of int32
        (n,) rows of ``trials`` and ``cameras``.
    frame : array of int32
        (n,) frame number in its trial.
    trials : tuple[str, ...]
        ``<subject>/<trial>``.
    cameras : tuple[str, ...]
        Names.
    """

    positions_camera: Float32
    trial: NDArray[np.int32]
    camera: NDArray[np.int32]
    frame: NDArray[np.int32]
    trials: tuple[str, ...]
    cameras: tuple[str, ...]


def prediction_file(folder: Path, protocol: str) -> Path:
    """Name the file of a protocol's predictions inside the folder of an evaluation."""
    return folder / "predictions" / f"{protocol}.npz"


def write_predictions(folder: Path, protocol: str, predicted: Float32, poses: CameraPoses) -> None:
    """Keep predictions beside the result that was measured from them.

    Parameters
    ----------
    folder : Path
        Of the evaluation.
    protocol : str
        Its name.
    predicted : array of shape (n, joints, 3)
        Metres, camera axes.
    poses : CameraPoses
        The n rows that the protocol selects.
    """
    content = io.BytesIO()
    np.savez_compressed(
        content,
        positions_camera=predicted.astype(np.float32),
        trial=poses.trial,
        camera=poses.camera,
        frame=poses.frame,
        trials=np.array([trial.key.path for trial in poses.trials]),
        cameras=np.array([camera.name for camera in poses.cameras]),
    )
    write_atomically(prediction_file(folder, protocol), content.getvalue())


def read_predictions(folder: Path, protocol: str) -> Predictions:
    """Read what :func:`write_predictions` kept.

    Raises
    ------
    FileNotFoundError
        The evaluation kept none under this protocol.
    """
    path = prediction_file(folder, protocol)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; evaluate the lifter again")
    with np.load(path, allow_pickle=False) as arrays:
        return Predictions(
            positions_camera=np.asarray(arrays["positions_camera"], dtype=np.float32),
            trial=arrays["trial"],
            camera=arrays["camera"],
            frame=arrays["frame"],
            trials=tuple(arrays["trials"].tolist()),
            cameras=tuple(arrays["cameras"].tolist()),
        )


def export_for_3dhp_scripts(folder: Path, protocol: str, file: Path) -> dict[str, int]:
    """Write an evaluation's predictions for the evaluation scripts of MPI-INF-3DHP.

    Parameters
    ----------
    folder : Path
        Of the evaluation.
    protocol : str
        Under which it predicted; it says whether mirrored input was averaged.
    file : Path
        To write, see :mod:`poseshift.storage.exchange.toolkit_3dhp`.

    Returns
    -------
    dict of int
        Frames written, by test sequence.

    Raises
    ------
    FileNotFoundError
        There is no evaluation, or it kept nothing under this protocol.
    ValueError
        It is of another data set, or the protocol does not measure every valid frame once.
    """
    inputs = recorded_inputs(folder)
    if inputs is None:
        raise FileNotFoundError(f"{folder} holds no evaluation; give the folder that `evaluate` wrote")
    chosen, wanted = protocol_named(protocol), "mpi_inf_3dhp_test"
    found = inputs.get("test", {}).get("dataset")
    if found != wanted or chosen.dataset != wanted:
        other = (
            f"protocol {protocol} measures {chosen.dataset}" if found == wanted else f"{folder} is of {found}"
        )
        raise ValueError(f"the scripts of MPI-INF-3DHP read predictions for {wanted}, but {other}")
    if chosen.frame_step != 1 or not chosen.valid_only:
        raise ValueError(
            f"the scripts of MPI-INF-3DHP read every valid frame and no other; protocol {protocol} measures "
            "other frames"
        )
    predictions = read_predictions(folder, protocol)
    subjects = [path.partition("/")[0] for path in predictions.trials]
    sequence = [subjects[number] for number in predictions.trial]
    return export_predictions(file, predictions.positions_camera, sequence, predictions.frame)
