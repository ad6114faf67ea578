"""Raw MPI-INF-3DHP files in the release's own layout, made of any motion.

``annot.mat`` is MATLAB v5, ``annot_data.mat`` MATLAB v7.3 (HDF5 behind a 512-byte user block); names, shapes,
types and rounding follow the originals, so that readers of the originals read these. Nothing is written that
a camera could not see: a joint behind a camera is an error. Videos, masks and the MATLAB scripts are not
written.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from numpy.typing import ArrayLike, NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project, world_to_camera
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.calibration import format_calibration
from poseshift.preprocessing.mpi_inf_3dhp.captury import TEST_CALIBRATIONS, format_captury
from poseshift.preprocessing.mpi_inf_3dhp.world import MM_PER_M, Float64, world_from_3dhp
from poseshift.storage.schema import TrialKey, require_shape

SIGNIFICANT_DIGITS = 6
"""The originals went through text with six significant digits; their doubles carry no more."""

_TRAINING_SKELETON = skeleton("mpi_inf_3dhp_28")
_TEST_SKELETON = skeleton("mpi_inf_3dhp_17")
_USER_BLOCK_BYTES = 512
_CHUNK_ROWS = 256
_GZIP_LEVEL = 3
_BOX_NUMBERS = 34


def write_training_sequence(
    root: Path, subject: int, sequence: int, positions_world_mm: ArrayLike, universal_scale: float
) -> Path:
    """Write ``annot.mat`` and ``camera.calibration`` of one sequence, seen by the fourteen true cameras.

    Parameters
    ----------
    root : Path
        The raw tree's root; folders are made.
    subject, sequence : int
        1 to 8, and 1 or 2.
    positions_world_mm : ArrayLike of shape (N, 28, 3)
        3DHP world (y up), millimetres, joints of ``mpi_inf_3dhp_28``.
    universal_scale : float
        Factor about the pelvis that makes ``univ_annot3`` of ``annot3``.

    Returns
    -------
    Path of ``annot.mat``.

    Raises
    ------
    ValueError
        When the sequence does not exist in the data set, the shape is wrong, N exceeds the 65,536 that the
        file's 16-bit frame numbers can count, or a joint is not before every camera.
    """
    key = TrialKey(f"S{subject}", f"Seq{sequence}")
    if key not in layout.TRAINING_SEQUENCES:
        raise ValueError(
            f"MPI-INF-3DHP has no training sequence {key.path}; there are S1 to S8 with Seq1 and Seq2"
        )
    positions_world = world_from_3dhp(positions_world_mm)
    require_shape("positions_world_mm", positions_world, (None, _TRAINING_SKELETON.joints, 3))
    frames = positions_world.shape[0]
    if frames > np.iinfo(np.uint16).max + 1:
        raise ValueError(f"{key.path} has {frames} frames; annot.mat counts them in 16 bits")
    blended = [_TRAINING_SKELETON.joint_names.index(name) for name in layout.BLENDED_JOINTS]

    views = len(layout.TRAINING_CAMERAS)
    cells = {name: np.empty((views, 1), dtype=object) for name in ("annot2", "annot3", "univ_annot3")}
    for index, camera in enumerate(layout.TRAINING_CAMERAS):
        seen = world_to_camera(positions_world, np.asarray(camera.rotation), np.asarray(camera.translation))
        _require_in_front(seen, f"{key.path} before camera {camera.name}")
        keypoints_px = _as_text_would(np.asarray(project(seen, camera.intrinsics)), blended)
        annotated_mm = _as_text_would(np.asarray(seen) * MM_PER_M, blended)
        universal_mm = _universal(annotated_mm, _TRAINING_SKELETON.root, universal_scale)
        cells["annot2"][index, 0] = keypoints_px.reshape(frames, -1)
        cells["annot3"][index, 0] = annotated_mm.reshape(frames, -1)
        cells["univ_annot3"][index, 0] = universal_mm.reshape(frames, -1)

    folder = layout.training_folder(root, key)
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        **cells,
        "cameras": np.arange(views, dtype=np.uint8)[None],
        "frames": np.arange(frames, dtype=np.uint16)[:, None],
    }
    path = folder / layout.ANNOTATION_FILE
    scipy.io.savemat(path, contents, format="5", do_compression=True)
    (folder / layout.CALIBRATION_FILE).write_text(
        format_calibration(layout.TRAINING_CAMERAS), encoding="ascii"
    )
    return path


def write_test_sequence(
    root: Path,
    name: str,
    positions_camera_mm: ArrayLike,
    camera: Camera,
    valid: NDArray[np.bool_],
    activity: NDArray[np.integer],
    universal_scale: float,
) -> Path:
    """Write ``annot_data.mat`` of one test sequence into the nested folder of the test archive.

    Parameters
    ----------
    root : Path
        The raw tree's root; folders are made.
    name : str
        "TS1" to "TS6".
    positions_camera_mm : ArrayLike of shape (N, 17, 3)
        Camera axes, millimetres, joints of ``mpi_inf_3dhp_17``.
    camera : Camera
        Gives the intrinsics, usually ``layout.TEST_CAMERAS[name]``; its extrinsics play no part.
    valid : array of bool_
        (N,) bool.
    activity : array of integer of shape (N,)
        1 to 7.
    universal_scale : float
        Factor about the pelvis that makes ``univ_annot3`` of ``annot3``.

    Returns
    -------
    Path of ``annot_data.mat``.

    Raises
    ------
    ValueError
        When the name or a shape is wrong, an activity is not 1 to 7, or a joint is behind the camera.
    """
    if name not in layout.TEST_SCENES:
        raise ValueError(
            f"MPI-INF-3DHP has no test sequence {name}; there are {', '.join(layout.TEST_SCENES)}"
        )
    positions = np.asarray(positions_camera_mm, dtype=np.float64)
    require_shape("positions_camera_mm", positions, (None, _TEST_SKELETON.joints, 3))
    require_shape("valid", valid, (positions.shape[0],))
    require_shape("activity", activity, (positions.shape[0],))
    if not np.isin(activity, np.arange(1, 8)).all():
        raise ValueError(
            f"{name} has activities {sorted(set(activity.tolist()) - set(range(1, 8)))}; expected 1 to 7"
        )
    _require_in_front(positions, name)
    blended = [_TEST_SKELETON.joint_names.index(joint) for joint in layout.BLENDED_JOINTS]
    keypoints_px = _as_text_would(np.asarray(project(positions, camera.intrinsics)), blended)
    annotated_mm = _as_text_would(positions, blended)
    universal_mm = _universal(annotated_mm, _TEST_SKELETON.root, universal_scale)

    path = layout.nested_test_set(root) / name / layout.TEST_ANNOTATION_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=_USER_BLOCK_BYTES) as file:
        for key, values in (
            ("annot2", keypoints_px),
            ("annot3", annotated_mm),
            ("univ_annot3", universal_mm),
        ):
            _write_frames(file, key, values)
        for key, row in (("valid_frame", valid), ("activity_annotation", activity)):
            _mark(file.create_dataset(key, data=np.asarray(row, dtype=np.float64)[:, None]), "double")
        _write_boxes(file, keypoints_px)
    with path.open("r+b") as raw:
        raw.write(_user_block())
    return path


def write_test_calibration(root: Path) -> tuple[Path, ...]:
    """Write the two ``.calib`` files into ``test_util/camera_calibration`` of the nested test archive."""
    written = []
    for name in ("TS1", "TS5"):
        path = layout.calib_file(layout.nested_test_set(root), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(format_captury([TEST_CALIBRATIONS[path.stem]]), encoding="utf-8")
        written.append(path)
    return tuple(written)


def round_significant(values: ArrayLike, digits: int = SIGNIFICANT_DIGITS) -> Float64:
    """Round to significant digits, to the very doubles that reading such a text would give.

    Exact for magnitudes from 1e-16 to 1e22, where the powers of ten are; beyond, off by one unit in the last
    place of a double.
    """
    exact = np.asarray(values, dtype=np.float64)
    magnitude = np.floor(np.log10(np.abs(exact), out=np.zeros_like(exact), where=exact != 0))
    exponent = digits - 1 - magnitude
    # Integer times or over an exact power of ten is correctly rounded; a product with 1e-3 is not.
    up, down = 10.0 ** np.maximum(exponent, 0), 10.0 ** np.maximum(-exponent, 0)
    rounded: Float64 = np.round(exact * up / down) / up * down
    return rounded


def _as_text_would(values: Float64, blended: list[int]) -> Float64:
    """Round (N, joints, d) to six digits, but not the blended joints, computed after that text."""
    rounded = round_significant(values)
    rounded[:, blended] = values[:, blended]
    return rounded


def _universal(positions_mm: Float64, root: int, scale: float) -> Float64:
    pelvis = positions_mm[:, root : root + 1]
    universal: Float64 = pelvis + scale * (positions_mm - pelvis)
    universal[:, root] = positions_mm[:, root]
    return universal


def _require_in_front(positions_camera: Float64, what: str) -> None:
    if not (positions_camera[..., 2] > 0).all():  # catches NaN too
        frame = int(np.argmin((positions_camera[..., 2] > 0).all(axis=-1)))
        raise ValueError(
            f"{what}: a joint in frame {frame} is not in front of the camera; move the motion into its view"
        )


def _write_frames(file: h5py.File, key: str, values: Float64) -> None:
    """Write (N, 17, d) as MATLAB's d x 17 x 1 x N."""
    stacked = values[:, None]
    chunks = (max(1, min(_CHUNK_ROWS, stacked.shape[0])), *stacked.shape[1:])
    _mark(
        file.create_dataset(
            key, data=stacked, chunks=chunks, compression="gzip", compression_opts=_GZIP_LEVEL
        ),
        "double",
    )


def _write_boxes(file: h5py.File, keypoints_px: Float64) -> None:
    """Write ``bb_crop``, per frame a cell of 34 numbers of undocumented meaning: here the 2D joints."""
    references = file.create_group("#refs#")
    empty = references.create_dataset("a", data=np.zeros(2, dtype=np.uint64))
    _mark(empty, "canonical empty")
    empty.attrs["MATLAB_empty"] = np.uint8(1)
    cells = np.empty((keypoints_px.shape[0], 1), dtype=h5py.ref_dtype)
    for index, row in enumerate(keypoints_px):
        box = references.create_dataset(f"b{index}", data=row.reshape(_BOX_NUMBERS, 1))
        _mark(box, "double")
        box.attrs["H5PATH"] = np.bytes_("/bb_crop")
        cells[index, 0] = box.ref
    _mark(file.create_dataset("bb_crop", data=cells, dtype=h5py.ref_dtype), "cell")


def _mark(dataset: h5py.Dataset, matlab_class: str) -> None:
    dataset.attrs["MATLAB_class"] = np.bytes_(matlab_class)


def _user_block() -> bytes:
    """Make the 512 bytes before the HDF5 part: 116 of text, 8 of offset, version, "IM" for little-endian."""
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970 HDF5 schema 1.00 ."
    header = text.ljust(116) + bytes(8) + b"\x00\x02" + b"IM"
    return header.ljust(_USER_BLOCK_BYTES, b"\0")
