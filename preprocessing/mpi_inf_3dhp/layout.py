"""How a copy of MPI-INF-3DHP lies on a disk: folders, sequence table, camera sets, built-in calibration.

Follows the data set's download scripts, ``mpii_get_sequence_info.m`` and ``mpii_get_camera_set.m``. The
calibration is the one that all sixteen ``camera.calibration`` files carry. Knows names and places; opens no
annotation file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from poseshift.geometry.camera import Camera
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.mpi_inf_3dhp import leftovers
from poseshift.preprocessing.mpi_inf_3dhp.world import camera_from_3dhp
from poseshift.preprocessing.raw import RESTAGED_MARKER, restaged_motion
from poseshift.preprocessing.unread import Unread
from poseshift.storage.schema import TrialKey

CAMERAS = 14
"""Cameras of every training sequence, "0" to "13"."""

BLENDED_JOINTS = ("spine", "left_hip", "right_hip")
"""Joints blended separately in 2D and 3D: projected, their annot3 misses annot2 by up to about 2 px."""

ANNOTATION_FILE = "annot.mat"
CALIBRATION_FILE = "camera.calibration"
TEST_ANNOTATION_FILE = "annot_data.mat"
TEST_ARCHIVE_FOLDER = "mpi_inf_3dhp_test_set"
"""The test archive holds a folder of its own name, so that unpacked as usual it is nested twice."""


@dataclass(frozen=True)
class SequenceInfo:
    """What the official table says of one training sequence.

    Attributes
    ----------
    frames : int
        Frames of video; ``annot.mat`` may hold more rows, and those beyond have no image.
    fps : float
        Frames per second.
    """

    frames: int
    fps: float


TRAINING_SEQUENCES: Mapping[TrialKey, SequenceInfo] = MappingProxyType(
    {
        TrialKey("S1", "Seq1"): SequenceInfo(6416, 25.0),
        TrialKey("S1", "Seq2"): SequenceInfo(12430, 50.0),
        TrialKey("S2", "Seq1"): SequenceInfo(6502, 25.0),
        TrialKey("S2", "Seq2"): SequenceInfo(6081, 25.0),
        TrialKey("S3", "Seq1"): SequenceInfo(12488, 50.0),
        TrialKey("S3", "Seq2"): SequenceInfo(12283, 50.0),
        TrialKey("S4", "Seq1"): SequenceInfo(6171, 25.0),
        TrialKey("S4", "Seq2"): SequenceInfo(6675, 25.0),
        TrialKey("S5", "Seq1"): SequenceInfo(12820, 50.0),
        TrialKey("S5", "Seq2"): SequenceInfo(12312, 50.0),
        TrialKey("S6", "Seq1"): SequenceInfo(6188, 25.0),
        TrialKey("S6", "Seq2"): SequenceInfo(6145, 25.0),
        TrialKey("S7", "Seq1"): SequenceInfo(6239, 25.0),
        TrialKey("S7", "Seq2"): SequenceInfo(6320, 25.0),
        TrialKey("S8", "Seq1"): SequenceInfo(6468, 25.0),
        TrialKey("S8", "Seq2"): SequenceInfo(6054, 25.0),
    }
)
"""Frames and frame rate of the sixteen training sequences, from ``mpii_get_sequence_info.m``."""

CameraSet = Literal["regular", "relevant", "vnect", "mm3d_chest", "ceiling"]

CAMERA_SETS: Mapping[CameraSet, tuple[int, ...]] = MappingProxyType(
    {
        "regular": tuple(range(CAMERAS)),
        "relevant": tuple(range(11)),
        "vnect": (0, 1, 2, 4, 5, 6, 7, 8),
        "mm3d_chest": (0, 2, 4, 7, 8),
        "ceiling": (11, 12, 13),
    }
)
"""The named camera sets of ``mpii_get_camera_set.m``; "regular" is all fourteen."""

TEST_SCENES: Mapping[str, str] = MappingProxyType(
    {
        "TS1": "green_screen",
        "TS2": "green_screen",
        "TS3": "no_green_screen",
        "TS4": "no_green_screen",
        "TS5": "outdoor",
        "TS6": "outdoor",
    }
)
"""The scene of each test sequence, by which results are split."""


def _load_cameras() -> tuple[tuple[Camera, ...], Mapping[str, Camera]]:
    text = files(__package__).joinpath("cameras.json").read_text(encoding="utf-8")
    table: dict[str, list[dict[str, Any]]] = json.loads(text)
    training = tuple(
        camera_from_3dhp(
            name=row["name"],
            size_px=tuple(row["size_px"]),
            focal_px=tuple(row["focal_px"]),
            centre_px=tuple(row["centre_px"]),
            rotation=np.reshape(row["rotation"], (3, 3)),
            translation_mm=row["translation_mm"],
        )
        for row in table["training"]
    )
    test = {
        row["name"]: Camera(
            name=row["name"],
            size_px=tuple(row["size_px"]),
            focal_px=tuple(row["focal_px"]),
            centre_px=tuple(row["centre_px"]),
        )
        for row in table["test"]
    }
    return training, MappingProxyType(test)


TRAINING_CAMERAS, TEST_CAMERAS = _load_cameras()
"""The built-in calibration, in the project's units and world (metres, z up).

``TRAINING_CAMERAS[i]`` is camera ``i`` of every training sequence. ``TEST_CAMERAS["TS1"]`` holds the
intrinsics with which TS1 was annotated; the camera is its world (R = I, t = 0). TS1, TS3 and TS4 were filmed
and annotated with training camera 8; TS2 was annotated with slightly other intrinsics than its calibration
file says; TS5 and TS6 are pinhole views of 1920 x 1080.
"""


def training_folder(root: Path, key: TrialKey) -> Path:
    """Folder of a training sequence, ``root/S1/Seq1``."""
    return root / key.subject / key.trial


def nested_test_set(root: Path) -> Path:
    """Folder that holds TS1 to TS6 when the official script unpacked the test archive below ``root``."""
    return root / TEST_ARCHIVE_FOLDER / TEST_ARCHIVE_FOLDER


def calib_file(test_set: Path, name: str) -> Path:
    """Calibration file of test sequence ``name``; TS1 to TS4 share one, TS5 and TS6 another."""
    cameras = "ts5-6cameras" if TEST_SCENES[name] == "outdoor" else "ts1-4cameras"
    return test_set / "test_util" / "camera_calibration" / f"{cameras}.calib"


@dataclass(frozen=True)
class Inventory:
    """The sequences that a tree offers.

    Attributes
    ----------
    folders : Mapping[TrialKey, Path]
        Where each sequence lies; its annotation file exists.
    problems : tuple[RawDataError, ...]
        Folders that look like sequences and are none.
    unread : tuple[Unread, ...]
        What looks like a part of the release by its name and is not read.
    missing : tuple[str, ...]
        Sequences of the release that the tree lacks.
    """

    folders: Mapping[TrialKey, Path]
    problems: tuple[RawDataError, ...]
    unread: tuple[Unread, ...] = ()
    missing: tuple[str, ...] = ()


def find_training_sequences(root: Path) -> Inventory:
    """List the training sequences below ``root`` (``S1/Seq1/annot.mat`` ...); some of the sixteen will do.

    Raises
    ------
    RawDataError
        When ``root`` holds no training sequence at all.
    """
    found: dict[TrialKey, Path] = {}
    problems: list[RawDataError] = []
    for subject in _folders(root, r"S\d+"):
        for folder in _folders(subject, r"Seq\d+"):
            key = TrialKey(subject.name, folder.name)
            if key not in TRAINING_SEQUENCES:
                problems.append(_unknown_sequence(folder, "S1 to S8 with Seq1 and Seq2"))
            elif not (folder / ANNOTATION_FILE).is_file():
                problems.append(_no_annotations(folder, ANNOTATION_FILE))
            else:
                found[key] = folder
    if not found:
        raise RawDataError(
            root,
            found="no MPI-INF-3DHP training sequence",
            expected=f"folders such as S1/Seq1 with {ANNOTATION_FILE}",
            remedy="Give the folder that the data set's get_dataset.sh downloads into.",
        )
    missing = tuple(key.path for key in TRAINING_SEQUENCES if key not in found)
    unread = tuple(leftovers.unread_for_training(root, [key.subject for key in found]))
    return Inventory(MappingProxyType(found), tuple(problems), unread, missing)


def find_test_sequences(root: Path) -> Inventory:
    """List the test sequences TS1 to TS6 in or below ``root``.

    The test archive may be nested twice (as the official scripts leave it), once, or lie in ``root`` itself;
    the outermost place that has TS folders counts. Keys are ``TrialKey("TS1", "TS1")``.

    Raises
    ------
    RawDataError
        When none of the three places holds a test sequence.
    """
    places = (root, root / TEST_ARCHIVE_FOLDER, nested_test_set(root))
    found: dict[TrialKey, Path] = {}
    problems: list[RawDataError] = []
    place = next((place for place in places if any(_folders(place, r"TS\d+"))), root)
    for folder in _folders(place, r"TS\d+"):
        if folder.name not in TEST_SCENES:
            problems.append(_unknown_sequence(folder, "TS1 to TS6"))
        elif not (folder / TEST_ANNOTATION_FILE).is_file():
            problems.append(_no_annotations(folder, TEST_ANNOTATION_FILE))
        else:
            found[TrialKey(folder.name, folder.name)] = folder
    if not found:
        raise RawDataError(
            root,
            found="no MPI-INF-3DHP test sequence",
            expected=f"TS1 to TS6 with {TEST_ANNOTATION_FILE}, there or in {nested_test_set(Path())}",
            remedy="Unpack mpi_inf_3dhp_test_set.zip there, or give the folder that holds TS1 to TS6.",
        )
    missing = tuple(name for name in TEST_SCENES if TrialKey(name, name) not in found)
    unread = tuple(leftovers.unread_for_test(places, place, complete=not missing))
    return Inventory(MappingProxyType(found), tuple(problems), unread, missing)


def restaged_from(root: Path) -> str | None:
    """Motion from which the tree was restaged, or None for an original.

    The marker lies at the tree's root; ``root`` may be that or a folder of the nested test archive below it.
    """
    outer = root.absolute()
    while outer.name == TEST_ARCHIVE_FOLDER and not (outer / RESTAGED_MARKER).is_file():
        outer = outer.parent
    return restaged_motion(outer)


def _folders(parent: Path, pattern: str) -> Iterator[Path]:
    """Yield the folders in ``parent`` whose whole name matches, by name; none when it is not a folder."""
    if parent.is_dir():
        for path in sorted(parent.iterdir()):
            if re.fullmatch(pattern, path.name) and path.is_dir():
                yield path


def _unknown_sequence(folder: Path, known: str) -> RawDataError:
    return RawDataError(
        folder,
        found=f"a folder named like a sequence, {folder.parent.name}/{folder.name}",
        expected=known,
        remedy="The data set has no such sequence; move the folder out of the tree or correct its name.",
    )


def _no_annotations(folder: Path, name: str) -> RawDataError:
    return RawDataError(
        folder,
        found=f"a sequence without {name}",
        expected=f"{name} in the sequence's folder",
        remedy="Download this sequence's annotations again; the sequence is left out until then.",
    )
