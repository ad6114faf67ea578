"""What is fuzzed: each reader with a valid file, ways to damage it, and the errors that are allowed."""

from __future__ import annotations

import gzip
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.fuzz.containers import (
    cdf_fields,
    extra_member,
    hdf5_integers,
    hdf5_metadata,
    inside_gzip,
    inside_mat5,
    inside_zip,
    mat5_fields,
    npy_header,
    pickle_opcodes,
    tar_headers,
    xml_attack,
    zipped,
)
from benchmarks.fuzz.mutations import BYTES, TEXT, Mutation, any_of, integers_at

from poseshift.preprocessing.archives import ArchiveLimits, unpack
from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.calibration import builtin_calibration
from poseshift.preprocessing.human36m.cdf import read_pose, write_pose
from poseshift.preprocessing.human36m.metadata import read_metadata
from poseshift.preprocessing.human36m.write import pack_subject, write_metadata
from poseshift.preprocessing.motion.asf_amc import read_amc, read_asf
from poseshift.preprocessing.motion.asf_kinematics import bone_ends
from poseshift.preprocessing.motion.bundle import read_bundle
from poseshift.preprocessing.mpi_inf_3dhp import layout
from poseshift.preprocessing.mpi_inf_3dhp.annotations import read_test_annotations, read_training_annotations
from poseshift.preprocessing.mpi_inf_3dhp.calibration import read_calibration
from poseshift.preprocessing.mpi_inf_3dhp.captury import read_captury
from poseshift.preprocessing.mpi_inf_3dhp.write import (
    write_test_calibration,
    write_test_sequence,
    write_training_sequence,
)
from poseshift.storage.exchange import mmpose, poseaug, pstmo, videopose3d
from poseshift.storage.exchange.npz import ExchangeError

FRAMES = 6
MAX_UNPACKED = ArchiveLimits(member_bytes=2**20, total_bytes=2**22, members=100)

_CDF_HEADER_FIELDS = integers_at(cdf_fields, "big")
_MAT5_FIELDS = integers_at(mat5_fields, "little")
_ANY_BYTES = any_of(*BYTES)
_ANY_TEXT = any_of(*BYTES, *TEXT, *TEXT)
_NPZ = any_of(*BYTES, *[inside_zip(any_of(*BYTES, npy_header))] * 14)
_PICKLED_NPZ = any_of(*BYTES, *[inside_zip(any_of(*BYTES, npy_header, *[pickle_opcodes] * 5))] * 14)


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes
    ----------
    name : of the reader's format.
    filename : name that the mutated file gets.
    seed : content of a valid file.
    mutation : how it is damaged.
    read : reads a file; raises one of ``refusals`` when it cannot. Writes, if at all, into the file's folder.
    refusals : the project's own errors for bad files.
    beside : further files that the reader needs, by name.
    """

    name: str
    filename: str
    seed: bytes
    mutation: Mutation
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...] = (RawDataError,)
    beside: Mapping[str, bytes] | None = None

    def place(self, folder: Path) -> Path:
        """Write the companions into a folder; returns where the mutated file goes."""
        for name, content in (self.beside or {}).items():
            (folder / name).write_bytes(content)
        return folder / self.filename


def targets(folder: Path) -> tuple[Target, ...]:
    """Write valid files with the project's own writers below a folder, and list what is to be fuzzed."""
    return (*_human36m(folder), *_mpi_inf_3dhp(folder), *_motion(folder), *_exchange(folder))


def _human36m(folder: Path) -> tuple[Target, ...]:
    tree = folder / "human36m"
    poses = _random().normal(1000, 300, (FRAMES, 32, 3))
    pose_folder = tree / "S1" / "MyPoseFeatures" / "D3_Positions"
    for stem in ("Directions", "Walking 1"):
        write_pose(pose_folder / f"{stem}.cdf", poses)
        os.utime(pose_folder / f"{stem}.cdf", (0, 0))
    (archive,) = pack_subject(tree, "S1", folder / "archives", frozenset({"D3_Positions"}))
    return (
        Target(
            "CDF pose file",
            "Directions.cdf",
            (pose_folder / "Directions.cdf").read_bytes(),
            any_of(*BYTES, *[_CDF_HEADER_FIELDS] * 9),
            lambda path: read_pose(path, 32, 3),
        ),
        Target(
            "metadata.xml",
            "metadata.xml",
            write_metadata(tree, {}).read_bytes(),
            any_of(*BYTES, *TEXT, *TEXT, xml_attack, xml_attack),
            read_metadata,
        ),
        Target(
            "tgz archive",
            archive.name,
            gzip.compress(gzip.decompress(archive.read_bytes()), mtime=0),
            any_of(*BYTES, *[inside_gzip(any_of(_ANY_BYTES, tar_headers, tar_headers, extra_member))] * 14),
            _unpack,
        ),
    )


def _unpack(path: Path) -> object:
    return unpack(path, path.parent / "out", re.compile(r"S\d+/MyPoseFeatures/\w+/[^/]+\.cdf"), MAX_UNPACKED)


def _mpi_inf_3dhp(folder: Path) -> tuple[Target, ...]:
    tree = folder / "mpi_inf_3dhp"
    standing = _random().normal([0, 1000, 0], 300, (FRAMES, 28, 3))
    annotations = write_training_sequence(tree, 1, 1, standing, 1.1)
    before = _random().normal([0, 0, 4000], 300, (FRAMES, 17, 3))
    valid, activity = np.ones(FRAMES, dtype=np.bool_), np.ones(FRAMES, dtype=np.int64)
    test = write_test_sequence(tree, "TS1", before, layout.TEST_CAMERAS["TS1"], valid, activity, 1.1)
    captury = write_test_calibration(tree)[0]
    return (
        Target(
            "annot.mat (MATLAB v5)",
            annotations.name,
            b"MATLAB 5.0 MAT-file".ljust(124) + annotations.read_bytes()[124:],  # without the date
            any_of(*BYTES, *[inside_mat5(any_of(_ANY_BYTES, _MAT5_FIELDS, _MAT5_FIELDS))] * 14),
            read_training_annotations,
        ),
        Target(
            "annot_data.mat (HDF5)",
            test.name,
            test.read_bytes(),
            any_of(*BYTES, *[hdf5_metadata(any_of(hdf5_integers, hdf5_integers, _ANY_BYTES))] * 14),
            read_test_annotations,
        ),
        Target(
            "camera.calibration",
            layout.CALIBRATION_FILE,
            annotations.with_name(layout.CALIBRATION_FILE).read_bytes(),
            _ANY_TEXT,
            read_calibration,
        ),
        Target(".calib", captury.name, captury.read_bytes(), _ANY_TEXT, _pinhole),
    )


def _pinhole(path: Path) -> object:
    return [camera.pinhole("8", (2048, 2048)) for camera in read_captury(path)]


def _motion(folder: Path) -> tuple[Target, ...]:
    bundle = folder / "bundle.npz"
    clips = _random().normal(1, 0.3, (2, FRAMES, 17, 3)).astype(np.float32)
    np.savez_compressed(bundle, **{"01/walk/01_01": clips[0], "02/jump/02_01": clips[1]})
    return (
        Target("motion bundle (npz)", bundle.name, _timeless(bundle), _NPZ, read_bundle),
        Target(
            "ASF skeleton",
            "hand.asf",
            ASF.encode(),
            _ANY_TEXT,
            _read_motion,
            beside={"hand.amc": AMC.encode()},
        ),
        Target(
            "AMC motion", "hand.amc", AMC.encode(), _ANY_TEXT, _read_motion, beside={"hand.asf": ASF.encode()}
        ),
    )


def _read_motion(path: Path) -> object:
    skeleton = read_asf(path.with_suffix(".asf"))
    return bone_ends(skeleton, read_amc(path.with_suffix(".amc"), skeleton), 120.0, 50.0)


def _exchange(folder: Path) -> tuple[Target, ...]:
    random = _random()
    world = {"S1": {"Walking 1": random.normal(1, 1, (FRAMES, 32, 3)).astype(np.float32)}}
    views = {"S1": {"Walking 1": [random.normal(500, 9, (FRAMES, 17, 2)).astype(np.float32)] * 4}}
    view = {
        "data_2d": random.normal(500, 9, (FRAMES, 17, 2)),
        "data_3d": random.normal(0, 500, (FRAMES, 17, 3)),
    }
    train = {"S1 Seq1": [{"0": view, "8": view}, 25.0]}
    test = {"TS1": {**view, "valid": np.ones(FRAMES)}}
    names = [
        f"S1/S1_Walking_1.54138969/S1_Walking_1.54138969_{frame:06d}.jpg" for frame in range(1, FRAMES + 1)
    ]
    annotated = {
        "imgname": np.array(names),
        "S": random.normal(0, 1, (FRAMES, 17, 4)),
        "part": random.normal(500, 9, (FRAMES, 17, 3)),
    }
    poses = {"pose3d": random.normal(0, 1, (FRAMES, 16, 3)), "pose2d": random.normal(0, 1, (FRAMES, 16, 2))}
    human36m = builtin_calibration().cameras
    training = {camera.name: camera for camera in layout.TRAINING_CAMERAS}
    saved = {
        "data_3d_h36m.npz": _npz(folder, positions_3d=np.array(world, dtype=object)),
        "data_2d_h36m_gt.npz": _npz(folder, positions_2d=np.array(views, dtype=object)),
    }
    only = (ExchangeError,)
    return (
        Target(
            "VideoPose3D 3D (npz, pickle)",
            "data_3d_h36m.npz",
            saved["data_3d_h36m.npz"],
            _PICKLED_NPZ,
            lambda path: list(
                videopose3d.import_trials(
                    path, path.with_name("data_2d_h36m_gt.npz"), human36m, object_arrays="restricted"
                )
            ),
            only,
            saved,
        ),
        Target(
            "VideoPose3D 2D (npz, pickle)",
            "data_2d_h36m_gt.npz",
            saved["data_2d_h36m_gt.npz"],
            _PICKLED_NPZ,
            lambda path: videopose3d.import_keypoints(path, "restricted"),
            only,
        ),
        Target(
            "P-STMO training (npz, pickle)",
            "data_train_3dhp.npz",
            _npz(folder, data=np.array(train, dtype=object)),
            _PICKLED_NPZ,
            lambda path: pstmo.import_train(path, training, "restricted"),
            only,
        ),
        Target(
            "P-STMO test (npz, pickle)",
            "data_test_3dhp.npz",
            _npz(folder, data=np.array(test, dtype=object)),
            _PICKLED_NPZ,
            lambda path: pstmo.import_test(path, dict(layout.TEST_CAMERAS), 25.0, "restricted"),
            only,
        ),
        Target(
            "mmpose annotations (npz)",
            "h36m_test.npz",
            _npz(folder, **annotated),
            _NPZ,
            lambda path: mmpose.import_annotations(path, "human36m", lambda image: human36m["S1"][0], 50.0),
            only,
        ),
        Target(
            "PoseAug test set (npz)", "test_3dhp.npz", _npz(folder, **poses), _NPZ, poseaug.import_test, only
        ),
    )


def _npz(folder: Path, **members: np.ndarray) -> bytes:
    path = folder / "written.npz"
    np.savez_compressed(path, allow_pickle=True, **members)
    return _timeless(path)


def _timeless(path: Path) -> bytes:
    """Zip an npz file anew, without the time at which it was written."""
    with zipfile.ZipFile(path) as archive:
        return zipped({name: archive.read(name) for name in archive.namelist()})


def _random() -> np.random.Generator:
    return np.random.default_rng(0)


ASF = """:version 1.10
:name HAND
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 1 0 0
     length 2
     axis 0 0 90  XYZ
    dof rx
    limits (-160.0 20.0)
  end
  begin
     id 2
     name lower
     direction 0.6 0.8 0
     length 1
     axis 0 0 0  XYZ
    dof rx rz
    limits (-160.0 20.0)
           (-160.0 20.0)
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n" + "".join(
    f"{frame}\nroot 1 2 {frame} 10 20 30\nupper {5 * frame}\nlower 1e-3 -{frame}\n" for frame in range(1, 13)
)
