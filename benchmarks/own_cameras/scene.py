"""Two people before four telephones, as files that a detector and a calibration would have left.

Upright images, lenses of OpenCV's model, 30 frames a second, white noise on keypoints, joints that are not
seen. The 3D is written to a folder of its own, for scoring.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.detectors import COCO_17
from poseshift.geometry.lens import px_of_points
from poseshift.geometry.rotation import axis_angle_to_matrix, matrix_to_axis_angle
from poseshift.geometry.skeleton import skeleton
from poseshift.preprocessing.motion.motion import Motion
from poseshift.preprocessing.restaging.placement import Stage, draw_placement, to_camera

Float64 = NDArray[np.float64]

FPS = 30.0
DROPPED = 0.1
LONGEST_S = 10.0
SIZE_PX = (1080, 1920)


@dataclass(frozen=True)
class Detector:
    """How keypoints are off, and what is said of it.

    Attributes
    ----------
    noise_px : tuple of float
        Deviation on each axis of a joint that the detector is surest of, and of one it is least sure of.
    confidence : tuple of float
        Largest and least confidence of joints that were seen.
    frames : int
        For which a joint's confidence lasts.
    """

    noise_px: tuple[float, float]
    confidence: tuple[float, float]
    frames: int = 10

    def draw(self, frames: int, joints: int, rng: np.random.Generator) -> tuple[Float64, Float64]:
        """Draw confidences and deviations in pixels, (frames, joints) each; nothing where both are fixed."""
        shape = (frames, joints)
        if self.confidence[0] == self.confidence[1]:
            return np.full(shape, self.confidence[0]), np.full(shape, self.noise_px[0])
        unsure = rng.random((-(-frames // self.frames), joints)).repeat(self.frames, axis=0)[:frames]
        (sure, least), (near, far) = self.confidence, self.noise_px
        return sure + unsure * (least - sure), near + unsure * (far - near)


DETECTORS = {
    "even": Detector(noise_px=(5.0, 5.0), confidence=(0.9, 0.9)),
    "telling": Detector(noise_px=(1.0, 11.0), confidence=(1.0, 0.2)),
}
"""`even` is as good at every joint; `telling` is not, and its confidence says so."""

_SPREAD_M = 0.5
_FOCAL_PX = (1500.0, 1750.0)
_LENS = ((0.03, 0.12), (-0.25, -0.05), (-0.001, 0.001), (-0.001, 0.001), (0.0, 0.1))
"""Ranges of k1, k2, p1, p2, k3: a telephone's main camera."""
_DISTANCE_M = (4.2, 5.5)
_HEIGHT_M = (1.0, 2.6)
_ROLL_DEGREES = 5.0
_LOOKED_AT_M = 0.95

JOINTS = skeleton("human36m_17").joint_names


@dataclass(frozen=True)
class Clip:
    """One clip: its files, and what is withheld.

    Attributes
    ----------
    name : str
        Of the clip.
    keypoints : dict of str to Path
        COCO's results, by camera.
    truth : Path
        npz with ``<person>``, (frames, 17, 3) metres in the world, and ``<person>_inside``, (cameras, frames)
        bool: whether all joints lie in the image.
    """

    name: str
    keypoints: dict[str, Path]
    truth: Path


def telephones(rng: np.random.Generator, count: int = 4) -> tuple[Camera, ...]:
    """Draw cameras around the middle of a room, which they look at from a standing or a raised hand."""
    cameras = []
    for number in range(count):
        about = 2 * np.pi * (number + rng.uniform(-0.25, 0.25)) / count
        away, height = rng.uniform(*_DISTANCE_M), rng.uniform(*_HEIGHT_M)
        place = np.array([away * np.cos(about), away * np.sin(about), height])
        forward = np.array([0.0, 0.0, _LOOKED_AT_M]) - place
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        level = np.stack([right, np.cross(forward, right), forward])
        roll = np.radians(rng.uniform(-_ROLL_DEGREES, _ROLL_DEGREES))
        rotation = np.asarray(axis_angle_to_matrix(np.array([0.0, 0.0, roll]))) @ level
        shift = -rotation @ place
        focal = rng.uniform(*_FOCAL_PX)
        centre = np.array(SIZE_PX) / 2 + rng.uniform(-15, 15, 2)
        k1, k2, p1, p2, k3 = (float(rng.uniform(*one)) for one in _LENS)
        cameras.append(
            Camera(
                name=f"phone{number + 1}",
                size_px=SIZE_PX,
                focal_px=(float(focal), float(focal)),
                centre_px=(float(centre[0]), float(centre[1])),
                distortion=Distortion("opencv", (k1, k2, k3), (p1, p2)),
                rotation=tuple((float(x), float(y), float(z)) for x, y, z in rotation),
                translation=(float(shift[0]), float(shift[1]), float(shift[2])),
            )
        )
    return tuple(cameras)


def calibration(cameras: Sequence[Camera]) -> str:
    """Write cameras as aniposelib does: TOML, world to camera, metres."""
    text = []
    for number, one in enumerate(cameras):
        (fx, fy), (cx, cy) = one.focal_px, one.centre_px
        (k1, k2, k3), (p1, p2) = one.distortion.radial, one.distortion.tangential
        turn = np.asarray(matrix_to_axis_angle(np.array(one.rotation)))
        text += [
            f"[cam_{number}]",
            f'name = "{one.name}"',
            f"size = {list(one.size_px)}",
            f"matrix = [[{fx!r}, 0.0, {cx!r}], [0.0, {fy!r}, {cy!r}], [0.0, 0.0, 1.0]]",
            f"distortions = {[k1, k2, p1, p2, k3]}",
            f"rotation = {[float(x) for x in turn]}",
            f"translation = {[float(x) for x in one.translation]}",
            "",
        ]
    return "\n".join(text)


def at_30_hz(motion: Motion) -> Float64:
    """Interpolate a motion's positions linearly at the telephones' rate, ten seconds at most."""
    positions = motion.positions.astype(np.float64)
    length = min((len(positions) - 1) / motion.fps, LONGEST_S)
    time = np.arange(int(length * FPS) + 1) / FPS * motion.fps
    before = np.minimum(time.astype(int), len(positions) - 2)
    share = (time - before)[:, None, None]
    return np.asarray((1 - share) * positions[before] + share * positions[before + 1])


def coco_joints(positions: Float64) -> Float64:
    """Make COCO's 17 joints of Human3.6M's, (..., 17, 3): eyes and ears lie beside the middle of the head."""
    named = dict(zip(JOINTS, np.moveaxis(positions, -2, 0), strict=True))
    across = named["left_shoulder"] - named["right_shoulder"]
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    middle = (named["nose"] + named["head"]) / 2
    for name, beside in (("eye", 0.03), ("ear", 0.07)):
        named[f"left_{name}"], named[f"right_{name}"] = middle + beside * across, middle - beside * across
    return np.stack([named[name] for name in COCO_17.joint_names], axis=-2)


def write_clip(
    name: str,
    people: Sequence[Motion],
    cameras: Sequence[Camera],
    detector: Detector,
    folder: Path,
    rng: np.random.Generator,
) -> Clip:
    """Play motions together before the cameras, and write what a detector with a tracker would leave."""
    moved = [at_30_hz(one) for one in people]
    frames = min(map(len, moved))
    without_lens = tuple(replace(camera, distortion=Distortion()) for camera in cameras)
    stage = Stage(without_lens, (0.0, 0.0), _SPREAD_M)
    truth: dict[str, NDArray[np.generic]] = {}
    seen: dict[str, list[dict[str, object]]] = {camera.name: [] for camera in cameras}
    for one, positions in zip(people, moved, strict=True):
        placement = draw_placement(positions[:frames], stage, rng)
        if placement is None:
            raise ValueError(f"{one.name} comes too near to a camera wherever it is played")
        world = placement.apply(positions[:frames])
        inside = []
        for camera in cameras:
            exact = px_of_points(to_camera(coco_joints(world), camera), camera)
            within = ((exact >= 0) & (exact < SIZE_PX)).all(axis=-1)
            inside.append(within.all(axis=-1))
            sure, deviation_px = detector.draw(*within.shape, rng)
            noisy = exact + rng.normal(scale=deviation_px[..., None], size=exact.shape)
            found = within & (rng.random(within.shape) >= DROPPED)
            rows = np.where(found[..., None], np.dstack([noisy, sure]), 0.0)
            seen[camera.name] += [
                {
                    "image_id": frame,
                    "track_id": _number(one.subject),
                    "score": detector.confidence[0],
                    "keypoints": [round(float(x), 2) for x in row.ravel()],
                }
                for frame, row in enumerate(rows)
                if found[frame].any()
            ]
        truth[person(one.subject)] = world
        truth[f"{person(one.subject)}_inside"] = np.stack(inside)
    files = {camera: folder / name / f"{camera}.json" for camera in seen}
    (folder / name).mkdir(parents=True, exist_ok=True)
    for name_of, found_people in seen.items():
        files[name_of].write_text(json.dumps(found_people), encoding="utf-8")
    withheld = folder / "withheld" / f"{name}.npz"
    withheld.parent.mkdir(exist_ok=True)
    np.savez(withheld, **truth)
    return Clip(name, files, withheld)


def person(subject: str) -> str:
    """Name a subject as its trials are named by ``domain add``."""
    return f"person-{_number(subject)}"


def _number(subject: str) -> int:
    return int("".join(letter for letter in subject if letter.isdigit()))
