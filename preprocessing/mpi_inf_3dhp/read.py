"""MPI-INF-3DHP trees as plans of trials: the training part in a world, the test part before its one camera.

Both plans only look at names; each planned trial opens its files when it is read. Positions leave here in
metres on the seventeen joints of Human3.6M; keypoints are the annotated ones, of which hips and spine miss
the projected 3D by up to about 2 px, because the data set blended them separately in 2D and 3D.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import mapping
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.annotations import (
    MultiViewAnnotations,
    SingleViewAnnotations,
    read_test_annotations,
    read_training_annotations,
)
from poseshift.preprocessing.mpi_inf_3dhp.calibration import read_calibration
from poseshift.preprocessing.mpi_inf_3dhp.captury import CapturyCamera, read_captury
from poseshift.preprocessing.mpi_inf_3dhp.consensus import Consensus, world_consensus
from poseshift.preprocessing.mpi_inf_3dhp.intrinsics import (
    IntrinsicsEstimate,
    estimate_intrinsics,
    measure_intrinsics,
)
from poseshift.preprocessing.mpi_inf_3dhp.world import MM_PER_M, Float64
from poseshift.preprocessing.raw import PlannedTrial, RawPlan
from poseshift.storage.inspection import CALIBRATION_RESIDUAL, CALIBRATION_TOLERANCE_PX
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import IntrinsicsOrigin, Trial, TrialKey

logger = logging.getLogger(__name__)

MAX_DISAGREEMENT_MM = 5.0
"""Median distance of one camera from the consensus above which calibration and annotations do not belong
together."""

MAX_INTRINSICS_RESIDUAL_PX = 5.0
"""Median residual of estimated intrinsics above which 2D and 3D of a test sequence do not belong together."""

TestIntrinsics = Literal["file", "fitted"]
"""Intrinsics of the test cameras; ``file`` falls back on the fit where the tree lacks the file."""

_FROM_TRAINING = mapping("mpi_inf_3dhp_28", "human36m_17")
_FROM_TEST = mapping("mpi_inf_3dhp_17", "human36m_17")
_BLENDED = [_FROM_TEST.target.joint_names.index(name) for name in layout.BLENDED_JOINTS]


class MpiInf3dhpOptions(FrozenModel):
    """What the readers leave to choice; recorded in the store."""

    training_cameras: layout.CameraSet = Field(
        default="regular",
        description="Named set of training cameras whose keypoints are kept; 'regular' is all fourteen.",
    )
    test_fps: float = Field(
        default=25.0,
        gt=0,
        description="Frame rate written for the test sequences: the data set states none; 25 is that of most "
        "training sequences.",
    )
    test_intrinsics: TestIntrinsics = Field(
        default="file",
        description="Intrinsics of the test cameras: those of the .calib file, where one lies in the tree, "
        "or 'fitted' to the test's own 3D and 2D annotations. The file of TS2 is about 5 px off them.",
    )


def plan_train(root: Path, options: MpiInf3dhpOptions) -> RawPlan:
    """List the training sequences below ``root``.

    Raises
    ------
    RawDataError
        When there are none.
    """
    inventory = layout.find_training_sequences(root)
    restaged = layout.restaged_from(root)
    return RawPlan(
        dataset="mpi_inf_3dhp_train",
        root=root,
        trials=tuple(
            PlannedTrial(
                key=key,
                sources=_existing(folder / layout.ANNOTATION_FILE, folder / layout.CALIBRATION_FILE),
                read=partial(read_training_sequence, folder, key, options),
            )
            for key, folder in inventory.folders.items()
        ),
        problems=inventory.problems,
        options={"training_cameras": options.training_cameras},
        restaged_from=restaged,
        unread=inventory.unread,
        missing=inventory.missing if restaged is None else (),
    )


def plan_test(root: Path, options: MpiInf3dhpOptions) -> RawPlan:
    """List the test sequences in or below ``root``.

    Raises
    ------
    RawDataError
        When there are none.
    """
    inventory = layout.find_test_sequences(root)
    restaged = layout.restaged_from(root)
    return RawPlan(
        dataset="mpi_inf_3dhp_test",
        root=root,
        trials=tuple(
            PlannedTrial(
                key=key,
                sources=_existing(
                    folder / layout.TEST_ANNOTATION_FILE, layout.calib_file(folder.parent, key.trial)
                ),
                read=partial(read_test_sequence, folder, key, options),
            )
            for key, folder in inventory.folders.items()
        ),
        problems=inventory.problems,
        options={"test_fps": f"{options.test_fps:g}", "test_intrinsics": options.test_intrinsics},
        restaged_from=restaged,
        unread=inventory.unread,
        missing=inventory.missing if restaged is None else (),
    )


def read_training_sequence(folder: Path, key: TrialKey, options: MpiInf3dhpOptions) -> Trial:
    """Read one training sequence.

    World positions are the consensus of all fourteen cameras, whichever are kept. Rows beyond the official
    number of frames are left out; missing ones are counted in the quality figure ``rows_missing``.

    Raises
    ------
    RawDataError
        When a file is not what its name says, or a camera disagrees with the others about the world.
    """
    path = folder / layout.ANNOTATION_FILE
    info = layout.TRAINING_SEQUENCES[key]
    cameras, origin = _training_cameras(folder)
    annotations = read_training_annotations(path, max_frames=info.frames)
    positions_camera_mm = _FROM_TRAINING.apply(annotations.positions_camera_mm)
    universal_camera_mm = _FROM_TRAINING.apply(annotations.universal_camera_mm)
    keypoints_px = _FROM_TRAINING.apply(annotations.keypoints_px)

    world = world_consensus(positions_camera_mm, cameras)
    _require_agreement(path, world)
    universal = world_consensus(universal_camera_mm, cameras)
    kept = list(layout.CAMERA_SETS[options.training_cameras])
    return Trial(
        key=key,
        action=key.trial,
        subaction="",
        fps=info.fps,
        cameras=tuple(cameras[index] for index in kept),
        positions_world=world.positions_world.astype(np.float32),
        keypoints_2d=keypoints_px[kept].astype(np.float32),
        positions_universal=universal.positions_world.astype(np.float32),
        quality={
            **_row_figures(annotations, info.frames),
            "world_disagreement_mean_mm": world.mean_mm,
            "world_disagreement_max_mm": world.max_mm,
            **_projection_figures(positions_camera_mm, keypoints_px, cameras),
            **_universal_figures(world.positions_world * MM_PER_M, universal.positions_world * MM_PER_M),
        },
        intrinsics=origin,
        options={"calibration": "file" if origin == "calibration file" else "built-in"},
    )


def read_test_sequence(folder: Path, key: TrialKey, options: MpiInf3dhpOptions) -> Trial:
    """Read one test sequence, all rows with their flags.

    The camera is the world (R = I, t = 0). Its intrinsics are those of the calibration file, when there is
    one; else, or when the options say so, they are fitted to the annotations, which are the answers of a
    test. The quality figures tell how far file and annotations are apart.

    Raises
    ------
    RawDataError
        When a file is not what its name says, or no pinhole projects the 3D onto the 2D.
    """
    path = folder / layout.TEST_ANNOTATION_FILE
    annotations = read_test_annotations(path)
    fit = _intrinsics(path, annotations)
    calibration = layout.calib_file(folder.parent, key.trial)
    filed = _filed_intrinsics(calibration, key.trial, annotations) if calibration.is_file() else None
    used = fit if filed is None or options.test_intrinsics == "fitted" else filed
    camera = Camera(
        name=key.trial,
        size_px=layout.TEST_CAMERAS[key.trial].size_px,
        focal_px=used.focal_px,
        centre_px=used.centre_px,
    )
    positions_mm = _FROM_TEST.apply(annotations.positions_camera_mm)
    universal_mm = _FROM_TEST.apply(annotations.universal_camera_mm)
    valid = annotations.valid
    return Trial(
        key=key,
        action=layout.TEST_SCENES[key.trial],
        subaction="",
        fps=options.test_fps,
        cameras=(camera,),
        positions_world=(positions_mm / MM_PER_M).astype(np.float32),
        keypoints_2d=_FROM_TEST.apply(annotations.keypoints_px)[None].astype(np.float32),
        positions_universal=(universal_mm / MM_PER_M).astype(np.float32),
        valid=valid,
        activity=annotations.activity,
        quality={
            "frames_valid": float(valid.sum()),
            "intrinsics_residual_median_px": fit.residual_median_px,
            "intrinsics_residual_max_px": fit.residual_max_px,
            **({} if filed is None else _calibration_figures(filed, fit)),
            **_universal_figures(positions_mm[valid], universal_mm[valid]),
        },
        intrinsics="fitted" if used is fit else "calibration file",
    )


def _existing(*paths: Path) -> tuple[Path, ...]:
    return tuple(path for path in paths if path.is_file())


def _training_cameras(folder: Path) -> tuple[Sequence[Camera], IntrinsicsOrigin]:
    """Cameras of a sequence, and whether its own file or the built-in table gave them."""
    path = folder / layout.CALIBRATION_FILE
    if path.is_file():
        return read_calibration(path), "calibration file"
    logger.warning("%s is missing; using the built-in calibration, which all sixteen originals share", path)
    return layout.TRAINING_CAMERAS, "built-in"


def _require_agreement(path: Path, world: Consensus) -> None:
    worst = int(np.argmax(world.median_mm))
    if world.median_mm[worst] > MAX_DISAGREEMENT_MM:
        raise RawDataError(
            path,
            found=f"camera {worst} {world.median_mm[worst]:.1f} mm (median) from the world of the others",
            expected=f"agreement within {MAX_DISAGREEMENT_MM:g} mm",
            remedy=f"Check that {layout.CALIBRATION_FILE} beside it is this release's, cameras in order.",
        )


def _intrinsics(path: Path, annotations: SingleViewAnnotations) -> IntrinsicsEstimate:
    expected = "2D that a pinhole camera projects from the 3D"
    try:
        estimate = estimate_intrinsics(annotations.keypoints_px, annotations.positions_camera_mm)
    except ValueError as error:
        raise RawDataError(
            path, found=str(error), expected=expected, remedy="Download this sequence's annotations again."
        ) from error
    if estimate.residual_median_px > MAX_INTRINSICS_RESIDUAL_PX:
        raise RawDataError(
            path,
            found=f"annot2 {estimate.residual_median_px:.1f} px (median) from the best projection of annot3",
            expected=expected,
            remedy="Restore the original file: annot2 and annot3 must be of the same frames and joints.",
        )
    return estimate


def _row_figures(annotations: MultiViewAnnotations, official_frames: int) -> dict[str, float]:
    numbers = annotations.frame_numbers
    return {
        "rows_missing": float(official_frames - numbers.size),
        "frame_numbers_out_of_order": float((numbers != np.arange(numbers.size)).sum()),
    }


def _projection_figures(
    positions_camera_mm: Float64, keypoints_px: Float64, cameras: Sequence[Camera]
) -> dict[str, float]:
    """Distances between annotated 2D and projected 3D, those of the blended joints apart."""
    distance_px: NDArray[np.float64] = np.stack(
        [
            np.linalg.norm(np.asarray(project(seen, camera.intrinsics)) - marked, axis=-1)
            for seen, marked, camera in zip(positions_camera_mm, keypoints_px, cameras, strict=True)
        ]
    )
    exact_px = np.delete(distance_px, _BLENDED, axis=-1)
    return {
        "annotation_reprojection_median_px": float(np.median(exact_px)),
        "annotation_reprojection_max_px": float(exact_px.max()),
        "hips_spine_reprojection_max_px": float(distance_px[..., _BLENDED].max()),
    }


def _universal_figures(positions_mm: Float64, universal_mm: Float64) -> dict[str, float]:
    """Height scale about the pelvis by least squares, and the largest departure; none without frames."""
    relative = positions_mm - positions_mm[:, :1]
    energy = float((relative**2).sum())
    if energy == 0:
        return {}
    scale = float((relative * (universal_mm - universal_mm[:, :1])).sum()) / energy
    departure_mm = np.linalg.norm(universal_mm - (positions_mm[:, :1] + scale * relative), axis=-1)
    return {"universal_scale": scale, "universal_departure_max_mm": float(departure_mm.max())}


def _filed_intrinsics(path: Path, name: str, annotations: SingleViewAnnotations) -> IntrinsicsEstimate:
    """Intrinsics of a calibration file; of several cameras those that explain the annotations best.

    Says so when they contradict the annotations: which of the two is right is not known here.
    """

    def measured(filed: CapturyCamera) -> IntrinsicsEstimate:
        camera = filed.pinhole(name, layout.TEST_CAMERAS[name].size_px)
        return measure_intrinsics(
            annotations.keypoints_px, annotations.positions_camera_mm, camera.focal_px, camera.centre_px
        )

    found = min((measured(filed) for filed in read_captury(path)), key=lambda one: one.residual_median_px)
    if found.residual_median_px > CALIBRATION_TOLERANCE_PX:
        logger.warning(
            "%s contradicts the annotations of %s: 2D is %.1f px (median, at most %.1f) from projected 3D",
            path,
            name,
            found.residual_median_px,
            found.residual_max_px,
        )
    return found


def _calibration_figures(filed: IntrinsicsEstimate, fit: IntrinsicsEstimate) -> dict[str, float]:
    """How far the annotations are from a calibration file: as pixels, and as intrinsics that explain them."""
    return {
        CALIBRATION_RESIDUAL: filed.residual_median_px,
        "calibration_residual_max_px": filed.residual_max_px,
        "calibration_focal_difference_px": float(np.abs(np.subtract(filed.focal_px, fit.focal_px)).max()),
        "calibration_centre_difference_px": float(np.abs(np.subtract(filed.centre_px, fit.centre_px)).max()),
    }
