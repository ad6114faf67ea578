"""What a lifter predicted in an evaluation: one npz file of plain arrays per protocol.

``positions_camera`` (n, joints, 3) are root-relative metres in camera axes, in the order of the protocol's
rows; ``trial`` (n,) and ``camera`` (n,) number ``trials`` and ``cameras``, ``frame`` (n,) counts in the
trial.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from poseshift.storage.columns import CameraPoses
from poseshift.storage.files import write_atomically
from poseshift.storage.schema import Float32


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


def read_predictions(folder: Path, protocol: str) -> Float32:
    """Read the positions that :func:`write_predictions` kept, (n, joints, 3) metres, camera axes.

    Raises
    ------
    FileNotFoundError
        The evaluation kept none under this protocol.
    """
    path = prediction_file(folder, protocol)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; evaluate the lifter again")
    with np.load(path, allow_pickle=False) as arrays:
        return np.asarray(arrays["positions_camera"], dtype=np.float32)
