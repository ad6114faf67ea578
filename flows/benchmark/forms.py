"""Forms of a domain: the same people and cameras, seen and measured as another laboratory would.

Restaged motion has one body model, one definition of every joint and exact keypoints on both sides of the
gap. Recordings do not. A form changes target and test together (detections, skeleton) or takes from the
source what it would not have shown (content); the people, their motion and the cameras stay. Whatever is
random comes from a seed and is the same for every method.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from poseshift.augmentation.anatomy import anatomy
from poseshift.augmentation.bodies import placed_anew
from poseshift.augmentation.transforms import scale_bones
from poseshift.flows.benchmark.content import UPRIGHT_DEGREES, trunk_degrees
from poseshift.geometry.projection import project
from poseshift.geometry.rotation import axis_angle_to_matrix
from poseshift.geometry.skeleton import Skeleton, skeleton
from poseshift.storage.columns import CameraPoses

FormName = Literal["exact", "detected", "gaps", "skeleton", "postures", "laboratory"]

NOISE_OF_SIZE = 0.012
"""Deviation of a detection on each axis over the larger side of the person's box: 5 px at 400 px."""

LOST_SHARE, SWAPPED_SHARE = 0.01, 0.01
"""Share of the joints that a detector puts anywhere in the person's box, and of the frames in which it takes
left for right."""

SEGMENT_FRAMES = 50
"""Successive frames that lie, lean or stand together."""

LYING_SHARE, LEANING_SHARE = 0.05, 0.1
LYING_DEGREES, LEANING_DEGREES = (70.0, 110.0), (25.0, 60.0)
"""Of the segments, and by how much they are turned about a level axis. Of the seven activities of
MPI-INF-3DHP's test set one is on the floor and two are sitting and crouching; of CMU's frames here one in a
hundred leans by more than 60 degrees."""

LIMB_DEGREES = 12.0
"""Deviation of the turn of every whole arm and leg about its first joint, on each axis, per segment."""

_FACTORS: Mapping[str, float] = MappingProxyType(
    {"hip": 1.0, "knee": 1.04, "ankle": 1.05, "shoulder": 1.06, "elbow": 0.94, "wrist": 0.93}
)
_TRUNK_FACTOR = 1.03

_OFFSETS_M: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "pelvis": (0.0, 0.03, 0.0),
        "left_hip": (0.025, -0.01, 0.0),
        "spine": (0.0, -0.03, -0.01),
        "thorax": (0.0, 0.03, -0.01),
        "left_shoulder": (-0.02, 0.01, 0.0),
        "nose": (0.0, -0.02, -0.04),
        "head": (0.0, -0.03, 0.0),
    }
)
"""Where the other laboratory puts its joints: to the body's left, up, forward. Its hips stand 112 mm from the
pelvis where CMU's stand 88 mm, as those of MPI-INF-3DHP do; the others are of the same size, a centimetre or
three, and were chosen once, before any method was measured on them."""


@dataclass(frozen=True)
class Form:
    """What is otherwise on the target's side of the gap.

    Attributes
    ----------
    name : FormName
        As commands call it.
    description : str
        One sentence.
    detected : bool
        Whether keypoints of target and test have a detector's errors.
    assembled : bool
        Whether the keypoints of trunk and head are put together from hips, shoulders and nose, as those of
        detectors are that know COCO's joints alone.
    skeleton : bool
        Whether target and test have other bone lengths and joint definitions than the source.
    postures : bool
        Whether some people of target and test lie and lean, which the source does not show: it shows upright
        people alone.
    gaps : bool
        Whether the detector of target and test does not see every joint.
    """

    name: FormName
    description: str
    detected: bool = False
    assembled: bool = False
    skeleton: bool = False
    postures: bool = False
    gaps: bool = False

    def source(self, poses: CameraPoses) -> CameraPoses:
        """Take from the source what it would not have shown."""
        return poses.take(is_upright(poses)) if self.postures else poses

    def target(self, poses: CameraPoses, seed: int) -> CameraPoses:
        """Show poses as the target's laboratory measures and detects them.

        Parameters
        ----------
        poses : CameraPoses
            With their 3D.
        seed : int
            Of the postures and of the detector's errors.
        """
        acted = in_other_postures(poses, seed) if self.postures else poses
        measured = in_other_skeleton(acted) if self.skeleton else acted
        seen = as_detected(measured, seed) if self.detected else measured
        assembled = with_assembled_trunk(seen) if self.assembled else seen
        return with_gaps(assembled, seed) if self.gaps else assembled


FORMS: Mapping[FormName, Form] = MappingProxyType(
    {
        form.name: form
        for form in (
            Form("exact", "Exact keypoints, the source's skeleton."),
            Form(
                "detected",
                "Target and test keypoints have a detector's errors, and trunk and head are put together "
                "from hips, shoulders and nose.",
                detected=True,
                assembled=True,
            ),
            Form(
                "gaps",
                "As detected, and one joint of ten is not seen, for a fifth of a second on average.",
                detected=True,
                assembled=True,
                gaps=True,
            ),
            Form("skeleton", "Target and test have other bodies and joint definitions.", skeleton=True),
            Form(
                "laboratory",
                "Other bodies, other joint definitions, a detector's errors, and people who lie and lean, "
                "which the source does not show.",
                detected=True,
                skeleton=True,
                postures=True,
            ),
            Form(
                "postures",
                "Some people of target and test lie and lean, which the source does not show.",
                postures=True,
            ),
        )
    }
)
"""Every form by name."""


def is_upright(poses: CameraPoses) -> NDArray[np.bool_]:
    """Whether a trunk is upright, (n,); known by 3D and by the cameras' places."""
    return np.asarray(trunk_degrees(poses) < UPRIGHT_DEGREES)


def in_other_skeleton(poses: CameraPoses) -> CameraPoses:
    """Measure the same motion with other bodies and other joint definitions; keypoints are projected anew."""
    joint_set = skeleton(poses.skeleton)
    changed = []
    for rows in np.array_split(np.arange(len(poses)), max(1, len(poses) // _CHUNK)):
        positions = torch.as_tensor(poses.positions_camera[rows, None], dtype=torch.float64)
        count = len(positions)
        moved = placed_anew(positions, _offsets(joint_set).expand(count, -1, -1), joint_set)
        changed.append(scale_bones(moved, _factors(joint_set).expand(count, -1), joint_set)[:, 0].numpy())
    measured = np.concatenate(changed)
    intrinsics = poses.intrinsics[poses.camera]
    return replace(
        poses,
        positions_camera=measured.astype(np.float32),
        keypoints_px=np.asarray(project(measured, intrinsics), dtype=np.float32),
    )


def in_other_postures(poses: CameraPoses, seed: int) -> CameraPoses:
    """Turn everybody's limbs, and some people about a level axis through the pelvis until they lean or lie.

    A segment of a trial is turned alike before all of its cameras; its motion goes on inside the turned
    posture. Who lies is lowered.

    Parameters
    ----------
    poses : CameraPoses
        Before cameras whose extrinsics are known.
    seed : int
        Of who lies and leans, which way and how far.
    """
    joint_set = skeleton(poses.skeleton)
    root = joint_set.root
    positions = poses.positions_camera.astype(np.float64)
    segment = poses.frame // SEGMENT_FRAMES
    rotations = np.array([camera.rotation for camera in poses.cameras])
    for trial in range(len(poses.trials)):
        for number in np.unique(segment[poses.trial == trial]):
            rng = np.random.default_rng([seed, trial, int(number)])
            turn = _fallen(rng)
            limbs = [(chain, _random_turn(rng)) for chain in map(list, anatomy(joint_set).limbs)]
            rows = np.flatnonzero((poses.trial == trial) & (segment == number))
            for camera in np.unique(poses.camera[rows]):
                seen = rows[poses.camera[rows] == camera]
                to_camera = rotations[camera]
                pelvis = positions[seen, root : root + 1]
                relative = (positions[seen] - pelvis) @ to_camera
                for chain, limb_turn in limbs:
                    pivot = relative[:, chain[:1]]
                    relative[:, chain] = (relative[:, chain] - pivot) @ limb_turn.T + pivot
                relative = relative @ turn.T @ to_camera.T
                lowered = pelvis - _PELVIS_DROP_M * (1 - turn[2, 2]) * to_camera[:, 2]
                positions[seen] = relative + lowered
    intrinsics = poses.intrinsics[poses.camera]
    return replace(
        poses,
        positions_camera=positions.astype(np.float32),
        keypoints_px=np.asarray(project(positions, intrinsics), dtype=np.float32),
    )


_PELVIS_DROP_M = 0.7


def _random_turn(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the rotation (3, 3) of a limb."""
    return _rotation(np.radians(LIMB_DEGREES) * rng.standard_normal(3))


def _fallen(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the rotation (3, 3) of a segment in the world, z up; mostly none."""
    kind, share, heading = rng.random(3)
    if kind < LYING_SHARE:
        low, high = LYING_DEGREES
    elif kind < LYING_SHARE + LEANING_SHARE:
        low, high = LEANING_DEGREES
    else:
        return np.eye(3)
    angle, about = np.radians(low + share * (high - low)), 2 * np.pi * heading
    return _rotation(angle * np.array([np.cos(about), np.sin(about), 0.0]))


def _rotation(axis_angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(axis_angle_to_matrix(torch.from_numpy(axis_angle)))


def as_detected(poses: CameraPoses, seed: int) -> CameraPoses:
    """Give keypoints a detector's errors: noise with the person's size, lost joints, left taken for right."""
    rng = np.random.default_rng(seed)
    joint_set = skeleton(poses.skeleton)
    keypoints = poses.keypoints_px.astype(np.float64)
    low, high = keypoints.min(axis=1, keepdims=True), keypoints.max(axis=1, keepdims=True)
    size = (high - low).max(axis=-1, keepdims=True)
    swapped = rng.random(len(keypoints)) < SWAPPED_SHARE
    seen = np.where(swapped[:, None, None], keypoints[:, list(joint_set.mirrored)], keypoints)
    seen += NOISE_OF_SIZE * size * rng.standard_normal(keypoints.shape)
    lost = rng.random(keypoints.shape[:2]) < LOST_SHARE
    anywhere = low + rng.random(keypoints.shape) * (high - low)
    return replace(poses, keypoints_px=np.where(lost[..., None], anywhere, seen).astype(np.float32))


def with_assembled_trunk(poses: CameraPoses) -> CameraPoses:
    """Put the keypoints of trunk and head where they are guessed from those that COCO's detectors find.

    Pelvis and thorax in the middle of hips and shoulders, the spine half-way between, the head's top beyond
    the nose by two fifths of its distance from the thorax.
    """
    names = skeleton(poses.skeleton).joint_names
    keypoints = poses.keypoints_px.astype(np.float64)

    def seen(joint: str) -> NDArray[np.float64]:
        return keypoints[:, names.index(joint)]

    pelvis = (seen("left_hip") + seen("right_hip")) / 2
    thorax = (seen("left_shoulder") + seen("right_shoulder")) / 2
    guessed = {
        "pelvis": pelvis,
        "spine": (pelvis + thorax) / 2,
        "thorax": thorax,
        "head": thorax + _HEAD_OVER_NOSE * (seen("nose") - thorax),
    }
    assembled = keypoints.copy()
    for joint, place in guessed.items():
        assembled[:, names.index(joint)] = place
    return replace(poses, keypoints_px=assembled.astype(np.float32))


def with_gaps(poses: CameraPoses, seed: int) -> CameraPoses:
    """Hide joints for runs of frames, each by itself; a trunk that is put together is hidden with its parts.

    Parameters
    ----------
    poses : CameraPoses
        Any.
    seed : int
        Of what is hidden.
    """
    names = skeleton(poses.skeleton).joint_names
    rng = np.random.default_rng([seed, _GAP_SEED])
    hidden = np.zeros(poses.keypoints_px.shape[:2], dtype=np.bool_)
    ends, begins = 1 / GAP_FRAMES, HIDDEN_SHARE / GAP_FRAMES / (1 - HIDDEN_SHARE)
    draws = rng.random(hidden.shape)
    hidden[0] = draws[0] < HIDDEN_SHARE
    goes_on = np.append(False, poses.same_view)
    for row in range(1, len(hidden)):
        stays = np.where(hidden[row - 1], draws[row] >= ends, draws[row] < begins)
        hidden[row] = stays if goes_on[row] else draws[row] < HIDDEN_SHARE
    hips, shoulders = (
        hidden[:, [names.index(f"{side}_{joint}") for side in ("left", "right")]].any(axis=1)
        for joint in ("hip", "shoulder")
    )
    for joint, parts in (
        ("pelvis", hips),
        ("thorax", shoulders),
        ("spine", hips | shoulders),
        ("head", shoulders | hidden[:, names.index("nose")]),
    ):
        hidden[:, names.index(joint)] = parts
    keypoints = np.where(hidden[..., None], np.float32(np.nan), poses.keypoints_px)
    return replace(poses, keypoints_px=keypoints)


HIDDEN_SHARE, GAP_FRAMES, _GAP_SEED = 0.1, 10.0, 7
"""Share of a detector's joints that are not seen in the form `gaps`, and for how many frames on average."""

_HEAD_OVER_NOSE = 1.4
_CHUNK = 20_000


def _factors(joint_set: Skeleton) -> torch.Tensor:
    """Factors of the bones' lengths, (bones,)."""
    names = [joint_set.joint_names[child].split("_")[-1] for _, child in joint_set.bones]
    return torch.tensor([_FACTORS.get(name, _TRUNK_FACTOR) for name in names], dtype=torch.float64)


def _offsets(joint_set: Skeleton) -> torch.Tensor:
    """Offsets of the joints in the body's axes, (joints, 3)."""
    offsets = torch.zeros(joint_set.joints, 3, dtype=torch.float64)
    for name, offset in _OFFSETS_M.items():
        joint = joint_set.joint_names.index(name)
        offsets[joint] = torch.tensor(offset, dtype=torch.float64)
        twin = joint_set.mirrored[joint]
        if twin != joint:
            offsets[twin] = offsets[joint] * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    return offsets
