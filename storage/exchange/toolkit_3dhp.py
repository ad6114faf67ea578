"""Predictions as the evaluation scripts of MPI-INF-3DHP read them: ``inference_data.mat``.

The scripts of Mehta et al. (3DV 2017) leave a gap where a method predicts. P-STMO (Shan et al., ECCV 2022)
and PoseFormerV2 hand them on with ``mpii_test_predictions_py.m``, which fills the gap from this file: one
variable per test sequence, ``TS1`` to ``TS6``, 3 x 17 x 1 x frames, millimetres relative to the pelvis in
camera axes, joints in the order of the data set's test files, and only the frames that the data set marks as
valid, in their order. The script takes the k-th pose for the k-th valid frame and does not test whether they
belong together. D3DP's variant of the file has all frames and is not written here.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
from numpy.typing import NDArray

from poseshift.geometry.skeleton import MPI_INF_3DHP_17, mapping
from poseshift.storage.files import write_atomically
from poseshift.storage.schema import Float32

_MM = 1000.0
_TO_TEST_ORDER = mapping("human36m_17", "mpi_inf_3dhp_17")


def export_predictions(
    path: Path, predicted: Float32, sequence: Sequence[str], frame: NDArray[np.integer]
) -> dict[str, int]:
    """Write predictions for the valid frames of test sequences.

    Parameters
    ----------
    path : Path
        The file; missing folders above it are made.
    predicted : array of float32 of shape (n, 17, 3)
        Metres, camera axes, joints of ``human36m_17``; root-relative or absolute.
    sequence : sequence of str
        Name of each row's test sequence, which becomes the name of a variable.
    frame : array of integer
        (n,) number of each row's frame in its sequence.

    Returns
    -------
    dict of int
        Frames written, by sequence.

    Raises
    ------
    ValueError
        A frame comes twice in a sequence.
    """
    positions = _TO_TEST_ORDER.apply(predicted.astype(np.float64))
    relative_mm = (positions - positions[:, [MPI_INF_3DHP_17.root]]) * _MM
    names = np.asarray(sequence)
    content = {}
    for name in np.unique(names).tolist():
        rows = np.flatnonzero(names == name)
        frames, first = np.unique(frame[rows], return_index=True)
        if len(frames) < len(rows):
            raise ValueError(f"{name} has several predictions for one frame; the scripts read one")
        content[name] = relative_mm[rows[first]].transpose(2, 1, 0)[:, :, None]
    file = io.BytesIO()
    scipy.io.savemat(file, content, format="5", do_compression=True)  # type: ignore[arg-type]  # or a stream
    write_atomically(path, file.getvalue())
    return {name: array.shape[-1] for name, array in content.items()}
