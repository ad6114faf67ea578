"""Binary glTF 2.0 (.glb): an animated skeleton with a spindle on each bone; metres, y up.

The skeleton is that of :mod:`poseshift.geometry.articulation`. Programs show a skeleton only where a mesh
hangs on it, which is what the spindles are for. Follows the glTF 2.0 specification of the Khronos Group.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from poseshift.geometry.articulation import Articulation, articulate
from poseshift.storage.motion_files.motion import Motion

_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_UNSIGNED_BYTE, _UNSIGNED_SHORT, _FLOAT = 5121, 5123, 5126
_VERTEX_DATA, _INDEX_DATA = 34962, 34963


class _Buffer:
    """Arrays one after the other, and what glTF says of each (views and accessors)."""

    def __init__(self) -> None:
        self.content = b""
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add(
        self,
        array: NDArray[Any],
        kind: str,
        component: int,
        *,
        target: int | None = None,
        bounds: bool = False,
    ) -> int:
        """Append an array (n,) or (n, values) and return the number of its accessor."""
        data = array.tobytes()
        view = {"buffer": 0, "byteOffset": len(self.content), "byteLength": len(data)}
        self.views.append(view if target is None else {**view, "target": target})
        self.content += data + b"\0" * (-len(data) % 4)
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": component,
            "count": len(array),
            "type": kind,
        }
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def encode(motion: Motion) -> bytes:
    """Write a motion as binary glTF."""
    moved = articulate(motion.positions_y_up, motion.skeleton)
    buffer, count = _Buffer(), len(moved.nodes)
    nodes: list[dict[str, Any]] = [
        {"name": node.name, "translation": list(node.offset), **_children(moved, number)}
        for number, node in enumerate(moved.nodes)
    ]
    nodes.append({"name": "bones", "mesh": 0, "skin": 0})
    document = {
        "asset": {
            "version": "2.0",
            "generator": "PoseShift",
            "extras": {
                "subject": motion.key.subject,
                "trial": motion.key.trial,
                "camera": motion.camera,
                "axes": motion.axes,
            },
        },
        "scene": 0,
        "scenes": [{"nodes": [0, count]}],
        "nodes": nodes,
        "meshes": [{"name": "bones", "primitives": [_spindles(moved, buffer)]}],
        "skins": [
            {
                "joints": list(range(count)),
                "skeleton": 0,
                "inverseBindMatrices": buffer.add(_back_to_rest(moved.rest), "MAT4", _FLOAT),
            }
        ],
        "animations": [_animation(moved, motion, buffer)],
    }
    document |= {
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.content)}],
    }
    return _binary(document, buffer.content)


def _children(moved: Articulation, number: int) -> dict[str, list[int]]:
    below = [child for child, node in enumerate(moved.nodes) if node.parent == number]
    return {"children": below} if below else {}


def _animation(moved: Articulation, motion: Motion, buffer: _Buffer) -> dict[str, Any]:
    times = buffer.add(motion.seconds.astype(np.float32), "SCALAR", _FLOAT, bounds=True)
    outputs = [("translation", 0, buffer.add(moved.root.astype(np.float32), "VEC3", _FLOAT))]
    for number in range(len(moved.nodes)):
        turns = Rotation.from_matrix(moved.rotations[:, number]).as_quat()  # x y z w, as glTF has it
        flips = np.cumprod(np.where((turns[1:] * turns[:-1]).sum(axis=1) < 0, -1.0, 1.0))
        turns[1:] *= flips[:, None]  # neighbours on one side of the sphere, between which programs blend
        outputs.append(("rotation", number, buffer.add(turns.astype(np.float32), "VEC4", _FLOAT)))
    return {
        "name": f"{motion.key.path} {motion.camera}",
        "samplers": [
            {"input": times, "output": output, "interpolation": "LINEAR"} for _, _, output in outputs
        ],
        "channels": [
            {"sampler": sampler, "target": {"node": number, "path": path}}
            for sampler, (path, number, _) in enumerate(outputs)
        ],
    }


def _back_to_rest(rest: NDArray[np.float64]) -> NDArray[np.float32]:
    """Matrices that move each node at rest to the origin, column-major, (nodes, 16)."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
    matrices[:, 3, :3] = -rest
    return matrices.reshape(len(rest), 16)


def _spindles(moved: Articulation, buffer: _Buffer) -> dict[str, Any]:
    """One octahedron per bone in the rest pose, moved by the node that aims the bone."""
    rest = moved.rest
    corners: list[NDArray[np.float64]] = []
    owners: list[int] = []
    triangles: list[NDArray[np.int64]] = []
    for number, node in enumerate(moved.nodes):
        ends = [
            rest[child]
            for child, below in enumerate(moved.nodes)
            if below.parent == number and below.joint == node.aims_at
        ]
        for end in ends:
            triangles.append(_FACES + len(corners) * 6)
            corners.append(_octahedron(rest[number], end))
            owners.append(number)
    vertices = np.concatenate(corners).astype(np.float32)
    joints = np.zeros((len(vertices), 4), dtype=np.uint8)
    joints[:, 0] = np.repeat(owners, 6)
    weights = np.tile(np.array([1, 0, 0, 0], dtype=np.float32), (len(vertices), 1))
    indices = np.concatenate(triangles).ravel().astype(np.uint16)
    return {
        "attributes": {
            "POSITION": buffer.add(vertices, "VEC3", _FLOAT, target=_VERTEX_DATA, bounds=True),
            "JOINTS_0": buffer.add(joints, "VEC4", _UNSIGNED_BYTE, target=_VERTEX_DATA),
            "WEIGHTS_0": buffer.add(weights, "VEC4", _FLOAT, target=_VERTEX_DATA),
        },
        "indices": buffer.add(indices, "SCALAR", _UNSIGNED_SHORT, target=_INDEX_DATA),
    }


_FACES = np.array(
    [[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4], [5, 1, 2], [5, 2, 3], [5, 3, 4], [5, 4, 1]], dtype=np.int64
)
"""Corners of the eight faces, seen from outside against the clock."""

_WAIST, _THICKNESS = 0.2, 0.08
"""Where along a bone its spindle is thickest, and how thick, as shares of the bone's length."""


def _octahedron(start: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Six corners: the start, four around the waist, the end."""
    along = end - start
    aside = np.cross(along, np.roll(along, 1))
    aside = aside / (np.linalg.norm(aside) or 1.0)
    across = np.cross(along / (np.linalg.norm(along) or 1.0), aside)
    waist, radius = start + _WAIST * along, _THICKNESS * np.linalg.norm(along)
    around: Sequence[NDArray[np.float64]] = (aside, across, -aside, -across)
    return np.stack([start, *(waist + radius * direction for direction in around), end])


def _binary(document: dict[str, Any], content: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = b"".join(
        struct.pack("<II", len(data), kind) + data for kind, data in ((_JSON, text), (_BINARY, content))
    )
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks
