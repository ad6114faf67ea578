"""Raw trees, cameras and people that all tests may use: small, in the true layouts, made once."""

import os
import pickle
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

# Two threads each of two test processes on two cores make torch fifty times slower, not faster.
# Set before anything imports it, and inherited by the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# The tests start more than a hundred processes, and each would compile all modules again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import numpy as np
import pytest
from benchmarks.faults import programs
from filelock import FileLock
from hypothesis import settings
from numpy.typing import NDArray
from xdist.scheduler import LoadFileScheduling

from poseshift.geometry.camera import Camera, Distortion, stack_intrinsics
from poseshift.geometry.projection import project
from poseshift.preprocessing.motion.procedural import generate
from poseshift.preprocessing.restaging.restage import restage
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.schema import TrialKey

# An example takes longer on a busy machine; how long is no matter of a test.
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")

DrawPeople = Callable[..., NDArray[np.float32]]
LEVEL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
"""Rotation of a camera that looks along the world's y, with the horizon level: up is -y in its axes."""

MakeColumns = Callable[[NDArray[np.float32], Sequence[Camera], NDArray[np.int32]], CameraPoses]


T = TypeVar("T")

FIRST = (
    (
        "flows/test_nights.py",
        "flows/doctor/test_leftovers_in_prefect.py",
        "flows/test_programs.py",
        "flows/commands/test_running.py",
        "flows/test_deployments.py",
    ),
    (
        "flows/test_pipeline.py",
        "flows/test_watch.py",
        "flows/test_reproduce.py",
        "flows/test_demo.py",
        "flows/test_at_once.py",
        "flows/test_augment.py",
        "flows/test_predict.py",
    ),
    ("flows/test_benchmark.py",),
    ("training/lifters/test_presets.py",),
    ("flows/test_faults.py",),
    ("flows/test_launches.py",),
    ("flows/report/test_gap.py",),
    ("flows/test_plugins.py",),
    ("training/test_export.py",),
    ("adaptation/test_poseda.py",),
    ("flows/test_papers.py",),
    ("flows/test_clusters.py",),
)
"""Files that take long, so that no process has much left when the others are done.

The files of a group are run by one process, which starts one Prefect server for them.
"""

_FOLDER = Path(__file__).parent
_RANKS = {
    str(_FOLDER / name): (place, group[0])
    for place, (group, name) in enumerate((group, name) for group in FIRST for name in group)
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long first."""
    items.sort(key=lambda item: _RANKS.get(str(item.path), (len(_RANKS), ""))[0])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Have the files of a group run by one process under ``--dist loadfile``."""
    return GroupsOfFiles(config, log) if config.getoption("dist") == "loadfile" else None


class GroupsOfFiles(LoadFileScheduling):
    """One process for each file, or for each group of :data:`FIRST`."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        _, group = _RANKS.get(str(_FOLDER.parent / file), (0, file))
        return group


class OfAllProcesses:
    """What the processes of a test session make once and all read.

    Parameters
    ----------
    folder : Path
        Of the session.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def once(self, name: str, make: Callable[[Path], T]) -> T:
        """Call ``make`` with a new folder in one process; the others wait and get the same result."""
        result = self.folder / f"{name}.pickle"
        with self.alone(name):
            if not result.exists():
                place = self.folder / name
                shutil.rmtree(place, ignore_errors=True)  # of a process that failed
                place.mkdir()
                result.write_bytes(pickle.dumps(make(place)))
        made: T = pickle.loads(result.read_bytes())  # noqa: S301 - written above
        return made

    def alone(self, name: str) -> FileLock:
        """Keep the other processes out for the length of a ``with`` block."""
        return FileLock(self.folder / f"{name}.lock")


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory: pytest.TempPathFactory) -> OfAllProcesses:
    """What the processes of pytest-xdist share; a process that runs all tests shares with nobody."""
    own = tmp_path_factory.getbasetemp()
    return OfAllProcesses(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)


@pytest.fixture
def as_two() -> Callable[..., list[subprocess.CompletedProcess[str]]]:
    """Run a program of Python as two processes of a launch, with less around them than torchrun has."""

    def run(*words: str) -> list[subprocess.CompletedProcess[str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        launch = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
        of_two = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "TERM": "dumb"}

        def one(rank: str) -> subprocess.CompletedProcess[str]:
            own = {"RANK": rank, "LOCAL_RANK": rank}
            return programs.run(*words, environment={**os.environ, **launch, **of_two, **own})

        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(one, ("0", "1")))

    return run


@pytest.fixture(scope="session")
def restaged(of_all_processes: OfAllProcesses) -> Path:
    """A folder with ``human36m`` and ``mpi_inf_3dhp`` trees of 21 subjects; do not write into it."""

    def make(folder: Path) -> Path:
        motions = generate(seed=7, clips_per_subject=2, frames_per_clip=40)
        restage(motions, folder / "trees", seed=7, motion="procedural motion of the tests")
        return folder / "trees"

    return of_all_processes.once("raw", make)


@pytest.fixture
def square_camera() -> Camera:
    """The first test camera of MPI-INF-3DHP, placed level."""
    return Camera(
        name="TS1",
        size_px=(2048, 2048),
        focal_px=(1500.172, 1500.832),
        centre_px=(1017.387, 1043.032),
        rotation=LEVEL,
    )


@pytest.fixture
def wide_camera() -> Camera:
    """The outdoor test camera of MPI-INF-3DHP, placed level."""
    return Camera(
        name="TS5",
        size_px=(1920, 1080),
        focal_px=(1683.983, 1672.594),
        centre_px=(939.858, 560.141),
        rotation=LEVEL,
    )


@pytest.fixture
def distorted_camera() -> Camera:
    """The first camera of Human3.6M, lens distortion included, placed level."""
    return Camera(
        name="54138969",
        size_px=(1000, 1002),
        focal_px=(1145.0494, 1143.7811),
        centre_px=(512.5415, 515.4515),
        distortion=Distortion(
            "human36m", (-0.207098910, 0.247775183, -0.003075150), (-0.001424471, -0.000975698)
        ),
        rotation=LEVEL,
    )


@pytest.fixture
def draw_people() -> DrawPeople:
    """Upright people of about 1.7 m before a camera: (n, 17, 3)."""

    def draw(
        rng: np.random.Generator, n: int, depth: float = 4.5, spread: float = 0.3
    ) -> NDArray[np.float32]:
        heights = np.array(
            [0, 0, 0.45, 0.9, 0, 0.45, 0.9, -0.25, -0.5, -0.6, -0.75, -0.5, -0.3, 0, -0.5, -0.3, 0]
        )
        joints = np.zeros((n, 17, 3))
        joints[:, :, 1] = heights
        joints[:, 1:] += rng.normal(scale=0.12, size=(n, 16, 3))
        root = np.array([0.1, -0.1, depth]) + rng.normal(scale=spread, size=(n, 1, 3))
        return (joints + root).astype(np.float32)

    return draw


@pytest.fixture
def make_columns() -> MakeColumns:
    """Columns of one trial per camera; ``camera`` says who sees which pose."""

    def make(
        positions: NDArray[np.float32], cameras: Sequence[Camera], camera: NDArray[np.int32]
    ) -> CameraPoses:
        keypoints = project(positions, stack_intrinsics(cameras)[camera])
        return CameraPoses(
            positions_camera=positions,
            keypoints_px=keypoints.astype(np.float32),
            camera=camera,
            trial=camera,
            frame=np.arange(len(positions), dtype=np.int32),
            activity=np.zeros(len(positions), dtype=np.int8),
            cameras=tuple(cameras),
            trials=tuple(TrialInfo(TrialKey("T", one.name), "Walking", "1", 50.0) for one in cameras),
            skeleton="human36m_17",
            snapshot="target",
        )

    return make


@dataclass(frozen=True)
class OwnRig:
    """Four portrait cameras around a person, as OpenCV and Qualisys would describe them; millimetres.

    Attributes
    ----------
    names : tuple of str
        Of the cameras.
    rotations, translations : array of shape (4, 3, 3) and (4, 3)
        World to camera, z up, millimetres.
    focal, centre : float and tuple of float
        Of all cameras, pixels.
    lens : tuple of float
        k1 k2 p1 p2 k3 of OpenCV.
    size : tuple of int
        Width and height of the images.
    landmarks : array of shape (frames, 33, 3)
        MediaPipe's landmarks of a moving person in the world, millimetres.
    """

    names: tuple[str, ...]
    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]
    focal: float
    centre: tuple[float, float]
    lens: tuple[float, float, float, float, float]
    size: tuple[int, int]
    landmarks: NDArray[np.float64]

    def seen(self, camera: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels (..., 2) of world points, by OpenCV's formulae as its manual prints them."""
        x, y, z = np.moveaxis(points @ self.rotations[camera].T + self.translations[camera], -1, 0)
        x, y = x / z, y / z
        k1, k2, p1, p2, k3 = self.lens
        r2 = x**2 + y**2
        radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
        u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
        v = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
        return np.stack([self.focal * u + self.centre[0], self.focal * v + self.centre[1]], axis=-1)

    def write_mediapipe(self, path: Path, noise_px: float = 1.0) -> Path:
        """An npz of detections, as a user of MediaPipe would keep them."""
        rng = np.random.default_rng(5)
        content: dict[str, NDArray[np.generic]] = {}
        for number, name in enumerate(self.names):
            pixels = self.seen(number, self.landmarks)
            pixels += rng.normal(scale=noise_px, size=pixels.shape)
            visible = rng.uniform(0.5, 1.0, size=(*pixels.shape[:2], 1))
            content[name] = np.concatenate([pixels, visible], axis=-1).astype(np.float32)
            content[f"{name}_size"] = np.array(self.size)
        np.savez(path, **content)
        return path

    def write_qualisys(
        self, path: Path, *, transposed: bool = False, backwards: bool = True, centre: bool = True
    ) -> Path:
        """A calibration of Qualisys's layout, with extrinsics written in one of the ways that there are."""
        text = ["<?xml version='1.0' encoding='ASCII'?>", "<calibration type='regular'><cameras>"]
        for name, rotation, translation in zip(self.names, self.rotations, self.translations, strict=True):
            turned = np.diag([1.0, -1.0, -1.0]) if backwards else np.eye(3)
            matrix = turned @ rotation
            vector = -rotation.T @ translation if centre else turned @ translation
            matrix = matrix.T if transposed else matrix
            elements = " ".join(f'r{i + 1}{j + 1}="{matrix[i, j]!r}"' for i in range(3) for j in range(3))
            k1, k2, p1, p2, k3 = self.lens
            text += [
                f'<camera active="1" serial="{name}" viewrotation="0">',
                f'<fov_video left="0" top="0" right="{self.size[0] - 1}" bottom="{self.size[1] - 1}"/>',
                f'<transform {elements} x="{vector[0]!r}" y="{vector[1]!r}" z="{vector[2]!r}"/>',
                f'<intrinsic focalLengthU="{64 * self.focal!r}" focalLengthV="{64 * self.focal!r}" '
                f'centerPointU="{64 * self.centre[0]!r}" centerPointV="{64 * self.centre[1]!r}" '
                f'radialDistortion1="{k1}" radialDistortion2="{k2}" radialDistortion3="{k3}" '
                f'tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"/></camera>',
            ]
        path.write_text(
            "\n".join([*text, "</cameras></calibration>"]).replace("np.float64(", "").replace(')"', '"')
        )
        return path


@pytest.fixture(scope="session")
def own_rig() -> OwnRig:
    """Cameras and a person of one's own; both made here, by other code than the project's."""
    rotations, translations = [], []
    for angle, height, distance in (
        (0.3, 1900, 3600),
        (1.9, 1500, 3300),
        (3.4, 2200, 3900),
        (4.9, 1700, 3500),
    ):
        place = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
        forward = np.array([0.0, 0.0, 900.0]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        rotations.append(rotation)
        translations.append(-rotation @ place)
    motion = next(iter(generate(seed=3, clips_per_subject=1, frames_per_clip=60))).positions * 1000
    rng = np.random.default_rng(1)
    landmarks = np.repeat(motion[:, [9]], 33, axis=1) + rng.normal(scale=60.0, size=(1, 33, 3))
    limbs = {11: 11, 12: 14, 13: 12, 14: 15, 15: 13, 16: 16, 23: 4, 24: 1, 25: 5, 26: 2, 27: 6, 28: 3}
    for landmark, joint in limbs.items():
        landmarks[:, landmark] = motion[:, joint]
    landmarks[..., :2] -= landmarks[..., :2].mean(axis=(0, 1))
    return OwnRig(
        names=("cam01", "cam02", "cam03", "cam04"),
        rotations=np.array(rotations),
        translations=np.array(translations),
        focal=1650.0,
        centre=(545.0, 955.0),
        lens=(-0.05, 0.13, 0.0006, -0.0005, 0.01),
        size=(1080, 1920),
        landmarks=landmarks,
    )
