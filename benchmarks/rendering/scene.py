"""People of free motion before a camera, with masks drawn from the truth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from benchmarks.rendering.clothing import clothed
from benchmarks.rendering.zbuffer import NOTHING, hard_labels
from numpy.typing import NDArray

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.columns import CameraPoses
from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import CapsuleBody

Float64 = NDArray[np.float64]

PEOPLE = (
    *("cmu01", "cmu07", "cmu104", "cmu11", "cmu131"),
    *("cmu35", "cmu55", "cmu64", "cmu91", "cmu93"),
)
"""Ten of the twenty-one people, those with little motion among them."""

WORN = tuple(1 + PARTS.index(part) for part in PARTS if part == "torso" or "_upper_" in part)
"""Labels that clothing widens."""

_GIRTH_SPREAD = 0.15


@dataclass(frozen=True)
class Person:
    """Some frames of a person before one camera.

    Attributes
    ----------
    name : str
        Of the subject.
    poses : CameraPoses
        Rows with exact keypoints.
    girths : array of shape (parts,)
        Of the true body.
    bare, dressed : array of uint8 of shape (frames, height, width)
        Masks: 0 for the background, 1 and on for the parts of the body.
    """

    name: str
    poses: CameraPoses
    girths: Float64
    bare: NDArray[np.uint8]
    dressed: NDArray[np.uint8]

    @property
    def camera(self) -> Camera:
        """Who looks on."""
        return self.poses.cameras[self.poses.camera[0]]


def person(store: PoseStore, name: str, number: int, frames: int, worn_m: float, seed: int) -> Person:
    """Take frames of a person, evenly over their motion, and draw masks of a body with girths of its own."""
    rng = np.random.default_rng([seed, number])
    cameras = sorted(camera.name for camera in store.trial_attributes(store.keys()[0]).cameras)
    everything = read_camera_poses(
        store, Selection(subjects=(name,), cameras=(cameras[number % len(cameras)],))
    )
    whole = np.flatnonzero(_inside(everything))
    poses = everything.take(whole[np.linspace(0, len(whole) - 1, frames).round().astype(np.intp)])
    girths = np.exp(rng.normal(scale=_GIRTH_SPREAD, size=len(PARTS)))
    masks = [draw_masks(joints, girths, poses.cameras[0], worn_m) for joints in poses.positions_camera]
    bare, dressed = (np.stack(some) for some in zip(*masks, strict=True))
    return Person(name, poses, girths, bare, dressed)


def draw_masks(
    joints: NDArray[np.float32], girths: Float64, camera: Camera, worn_m: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw part labels of a body (joints, 3) as a camera sees it, bare and dressed."""
    body = CapsuleBody(HUMAN36M_17, torch.as_tensor(joints, dtype=torch.float64))
    factors = torch.as_tensor(girths)[body.part_of_bone]
    vertices = body.on_joints(body.rest[None], factors[None]).vertices[0].numpy()
    labels = hard_labels(
        np.asarray(project(vertices, camera.intrinsics)),
        vertices[:, 2],
        body.faces.numpy(),
        1 + body.priors.argmax(dim=1).numpy(),
        camera.size_px,
    )
    bare = np.where(labels == NOTHING, 0, labels)
    width_px = worn_m * camera.focal_px[0] / float(joints[0, 2])
    return bare.astype(np.uint8), clothed(bare, WORN, width_px, background=0).astype(np.uint8)


def with_noise(poses: CameraPoses, noise_px: float, seed: int) -> CameraPoses:
    """Add white noise to the keypoints."""
    noise = np.random.default_rng(seed).normal(scale=noise_px, size=poses.keypoints_px.shape)
    return replace(poses, keypoints_px=(poses.keypoints_px + noise).astype(np.float32))


def _inside(poses: CameraPoses) -> NDArray[np.bool_]:
    """Rows whose keypoints are all in the image."""
    size = np.asarray(poses.cameras[0].size_px)
    return np.asarray(((poses.keypoints_px > 0) & (poses.keypoints_px < size)).all(axis=(1, 2)))
