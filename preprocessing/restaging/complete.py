"""The joints that raw files have beyond the 17: filled in plausibly, without moving any of the 17.

Exact repeats of Human3.6M's 32 joints stay exact and its spine lies 0.1 mm from the hips, as in the release.
Toes, hands, clavicles and the inner spine are guesses of the right size; no protocol evaluates them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from poseshift.geometry.skeleton import mapping, skeleton

Array = npt.NDArray[np.float64]

FOOT_M, TOE_M, HAND_M, THUMB_M = 0.13, 0.06, 0.09, 0.05
SPINE_FROM_HIPS_M = 1e-4
CLAVICLE_SHARE = 0.15
INNER_SPINE_SHARES = {"spine2": 0.3, "spine3": 0.6, "spine4": 0.85}


def to_human36m_32(joints: npt.NDArray[np.floating[Any]]) -> Array:
    """Complete (frames, 17, 3) metres, world z up, to the 32 joints of Human3.6M's pose files."""
    points = _named(joints)
    ahead = _forward(points)
    up = _unit(points["spine"] - points["pelvis"])
    full = {
        "Hips": points["pelvis"],
        "Spine": points["pelvis"] + SPINE_FROM_HIPS_M * up,
        "Spine1": points["spine"],
        "Neck": points["thorax"],
        "Head": points["nose"],
        "HeadSite": points["head"],
    }
    for side, prefix in (("left", "Left"), ("right", "Right")):
        ball, toe = _toes(points, side, ahead)
        hand = _unit(points[f"{side}_wrist"] - points[f"{side}_elbow"])
        wrist = points[f"{side}_wrist"]
        full |= {
            f"{prefix}UpLeg": points[f"{side}_hip"],
            f"{prefix}Leg": points[f"{side}_knee"],
            f"{prefix}Foot": points[f"{side}_ankle"],
            f"{prefix}ToeBase": ball,
            f"{prefix}ToeSite": toe,
            f"{prefix}Shoulder": points["thorax"],
            f"{prefix}Arm": points[f"{side}_shoulder"],
            f"{prefix}ForeArm": points[f"{side}_elbow"],
            f"{prefix}Hand": wrist,
            f"{prefix}HandThumb": wrist,
            f"{prefix}ThumbSite": wrist + THUMB_M * _unit(hand + ahead),
            f"{prefix}WristEnd": wrist + HAND_M * hand,
            f"{prefix}WristSite": wrist + HAND_M * hand,
        }
    return np.stack([full[name] for name in skeleton("human36m_32").joint_names], axis=1)


def to_mpi_inf_3dhp_28(joints: npt.NDArray[np.floating[Any]]) -> Array:
    """Complete (frames, 17, 3) metres, world z up, to the 28 joints of MPI-INF-3DHP's training files."""
    points = _named(joints)
    ahead = _forward(points)
    full = {
        "pelvis": points["pelvis"],
        "spine": points["spine"],
        "neck": points["thorax"],
        "head": points["nose"],
        "head_top": points["head"],
    }
    for name, share in INNER_SPINE_SHARES.items():
        full[name] = points["spine"] + share * (points["thorax"] - points["spine"])
    for side in ("left", "right"):
        ball, toe = _toes(points, side, ahead)
        wrist, elbow, shoulder = (points[f"{side}_{joint}"] for joint in ("wrist", "elbow", "shoulder"))
        full |= {
            f"{side}_clavicle": points["thorax"] + CLAVICLE_SHARE * (shoulder - points["thorax"]),
            f"{side}_hand": wrist + HAND_M * _unit(wrist - elbow),
            f"{side}_foot": ball,
            f"{side}_toe": toe,
        }
        for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            full[f"{side}_{joint}"] = points[f"{side}_{joint}"]
    return np.stack([full[name] for name in skeleton("mpi_inf_3dhp_28").joint_names], axis=1)


def to_mpi_inf_3dhp_17(joints: npt.NDArray[np.floating[Any]]) -> Array:
    """Order (frames, 17, 3) as MPI-INF-3DHP's test files do."""
    return np.asarray(mapping("human36m_17", "mpi_inf_3dhp_17").apply(joints), dtype=np.float64)


def _named(joints: npt.NDArray[np.floating[Any]]) -> dict[str, Array]:
    names = skeleton("human36m_17").joint_names
    return {name: np.asarray(joints[:, index], dtype=np.float64) for index, name in enumerate(names)}


def _forward(points: dict[str, Array]) -> Array:
    """(frames, 3) where the pelvis faces: left crossed with up."""
    return _unit(np.cross(points["left_hip"] - points["right_hip"], points["spine"] - points["pelvis"]))


def _toes(points: dict[str, Array], side: str, ahead: Array) -> tuple[Array, Array]:
    """Ball and tip of a foot: at a right angle to the shank, and not under the floor."""
    ankle = points[f"{side}_ankle"]
    shank = _unit(ankle - points[f"{side}_knee"])
    along = _unit(ahead - (ahead * shank).sum(-1, keepdims=True) * shank)
    ball = ankle + FOOT_M * _unit(along + 0.35 * shank)
    ball[:, 2] = np.maximum(ball[:, 2], 0.01)
    toe = ball + TOE_M * along
    toe[:, 2] = np.maximum(toe[:, 2], 0.01)
    return ball, toe


def _unit(vectors: Array) -> Array:
    unit: Array = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit
