"""BVH and glTF, read by small readers that were written from the formats' specifications."""

import json
import struct
from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from poseshift.geometry.bones import bone_directions, bone_lengths, from_bones
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.motion_files.registry import MOTION_FORMATS

TENTH_MM = 1e-4


@dataclass
class Joint:
    name: str
    parent: int
    offset: np.ndarray
    channels: list[str] = field(default_factory=list)


def read_bvh(content: bytes) -> tuple[list[Joint], np.ndarray, float]:
    """Joints in the order of the file, values (frames, channels), and seconds of a frame."""
    words = content.decode().split()
    joints: list[Joint] = []
    open_nodes: list[int] = []
    place = 1
    while words[place] != "MOTION":
        word = words[place]
        if word in ("ROOT", "JOINT", "End"):
            joints.append(Joint(words[place + 1], open_nodes[-1] if open_nodes else -1, np.zeros(3)))
            open_nodes.append(len(joints) - 1)
            place += 3  # with the brace
        elif word == "OFFSET":
            joints[open_nodes[-1]].offset = np.array(words[place + 1 : place + 4], dtype=float)
            place += 4
        elif word == "CHANNELS":
            count = int(words[place + 1])
            joints[open_nodes[-1]].channels = words[place + 2 : place + 2 + count]
            place += 2 + count
        else:
            assert word == "}"
            open_nodes.pop()
            place += 1
    assert words[place + 1] == "Frames:"
    frames = int(words[place + 2])
    assert words[place + 3 : place + 5] == ["Frame", "Time:"]
    values = np.array(words[place + 6 :], dtype=float).reshape(frames, -1)
    return joints, values, float(words[place + 5])


def play_bvh(joints: list[Joint], values: np.ndarray) -> dict[str, np.ndarray]:
    """Places of the named joints in every frame."""
    turns: list[np.ndarray] = []
    places: list[np.ndarray] = []
    column = 0
    for joint in joints:
        moved, turn = np.tile(joint.offset, (len(values), 1)), np.tile(np.eye(3), (len(values), 1, 1))
        for channel in joint.channels:
            axis = "XYZ".index(channel[0])
            if channel.endswith("position"):
                moved[:, axis] += values[:, column]
            else:
                turn = turn @ Rotation.from_euler("xyz"[axis], values[:, [column]], degrees=True).as_matrix()
            column += 1
        if joint.parent >= 0:
            above = turns[joint.parent]
            moved = places[joint.parent] + (above @ moved[..., None])[..., 0]
            turn = above @ turn
        places.append(moved)
        turns.append(turn)
    assert column == values.shape[1]
    return {joint.name: place for joint, place in zip(joints, places, strict=True)}


def expected(motion: Motion) -> np.ndarray:
    """What is promised: the same root and directions, every bone as long as its median."""
    positions = motion.positions_y_up
    lengths = np.median(bone_lengths(positions, motion.skeleton), axis=0)
    return np.asarray(
        from_bones(positions[:, 0], bone_directions(positions, motion.skeleton), lengths, motion.skeleton)
    )


@pytest.mark.parametrize("name", ["rigid", "changing", "in_camera"])
def test_bvh_puts_joints_where_they_are(name: str, request: pytest.FixtureRequest) -> None:
    motion: Motion = request.getfixturevalue(name)
    joints, values, seconds = read_bvh(MOTION_FORMATS["bvh"].encode(motion))
    assert seconds == pytest.approx(1 / 50)
    found = play_bvh(joints, values)
    wanted = motion.positions_y_up if name == "rigid" else expected(motion)
    for joint, joint_name in enumerate(motion.skeleton.joint_names):
        np.testing.assert_allclose(found[joint_name] / 100, wanted[:, joint], atol=TENTH_MM)


def test_bvh_angles_do_not_jump(changing: Motion) -> None:
    joints, values, _ = read_bvh(MOTION_FORMATS["bvh"].encode(changing))
    assert [joint.name for joint in joints if joint.channels][:3] == [
        "pelvis",
        "pelvis_to_right_hip",
        "right_hip",
    ]
    assert np.abs(np.diff(values[:, 3:], axis=0)).max() < 180.0


COMPONENTS = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A binary glTF file, taken apart as the specification says."""

    def __init__(self, content: bytes) -> None:
        magic, version, length = struct.unpack_from("<III", content)
        assert (magic, version, length) == (0x46546C67, 2, len(content))
        size, kind = struct.unpack_from("<II", content, 12)
        assert kind == 0x4E4F534A
        assert size % 4 == 0
        self.document = json.loads(content[20 : 20 + size])
        binary, kind = struct.unpack_from("<II", content, 20 + size)
        assert kind == 0x004E4942
        self.data = content[28 + size : 28 + size + binary]
        assert self.document["buffers"][0]["byteLength"] <= binary
        assert 28 + size + binary == length

    def array(self, number: int) -> np.ndarray:
        accessor = self.document["accessors"][number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        width = WIDTHS[accessor["type"]]
        flat = np.frombuffer(
            self.data, COMPONENTS[accessor["componentType"]], accessor["count"] * width, view["byteOffset"]
        )
        rows = flat.reshape(accessor["count"], width)
        for bound, found in (("min", rows.min(axis=0)), ("max", rows.max(axis=0))):
            np.testing.assert_allclose(accessor.get(bound, found), found)
        return rows

    def matrices(self, frame: int) -> np.ndarray:
        """Of every node in the scene, (nodes, 4, 4), at a key frame."""
        nodes = self.document["nodes"]
        turn = {n: np.array([0.0, 0, 0, 1]) for n in range(len(nodes))}
        move = {n: np.array(node.get("translation", [0, 0, 0]), dtype=float) for n, node in enumerate(nodes)}
        (animation,) = self.document["animations"]
        for channel in animation["channels"]:
            value = self.array(animation["samplers"][channel["sampler"]]["output"])[frame]
            target = channel["target"]
            (turn if target["path"] == "rotation" else move)[target["node"]] = value
        found = np.tile(np.eye(4), (len(nodes), 1, 1))

        def visit(number: int, above: np.ndarray) -> None:
            local = np.eye(4)
            local[:3, :3] = Rotation.from_quat(turn[number]).as_matrix()
            local[:3, 3] = move[number]
            found[number] = above @ local
            for child in nodes[number].get("children", []):
                visit(child, found[number])

        for number in self.document["scenes"][self.document["scene"]]["nodes"]:
            visit(number, np.eye(4))
        return found


@pytest.mark.parametrize("name", ["rigid", "changing", "in_camera"])
def test_gltf_puts_joints_where_they_are(name: str, request: pytest.FixtureRequest) -> None:
    motion: Motion = request.getfixturevalue(name)
    file = Glb(MOTION_FORMATS["gltf"].encode(motion))
    times = file.array(file.document["animations"][0]["samplers"][0]["input"])[:, 0]
    np.testing.assert_allclose(times, np.arange(25) / 50, atol=1e-6)
    number_of = {node["name"]: number for number, node in enumerate(file.document["nodes"])}
    wanted = motion.positions_y_up if name == "rigid" else expected(motion)
    for frame in (0, 11, 24):
        matrices = file.matrices(frame)
        for joint, joint_name in enumerate(motion.skeleton.joint_names):
            found = matrices[number_of[joint_name], :3, 3]
            np.testing.assert_allclose(found, wanted[frame, joint], atol=TENTH_MM)


def test_the_spindles_of_gltf_end_at_the_joints(rigid: Motion) -> None:
    file = Glb(MOTION_FORMATS["gltf"].encode(rigid))
    (primitive,) = file.document["meshes"][0]["primitives"]
    (skin,) = file.document["skins"]
    vertices = file.array(primitive["attributes"]["POSITION"])
    joints = file.array(primitive["attributes"]["JOINTS_0"])[:, 0]
    assert len(vertices) == 6 * 16
    assert file.array(primitive["indices"]).max() == len(vertices) - 1
    back = file.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)  # stored by columns
    matrices = file.matrices(7)[skin["joints"]] @ back
    padded = np.concatenate([vertices, np.ones((len(vertices), 1))], axis=1)
    skinned = (matrices[joints] @ padded[..., None])[:, :3, 0].reshape(16, 6, 3)
    places = rigid.positions_y_up[7]
    found = sorted(np.round(np.concatenate([one[0], one[5]]), 3).tolist() for one in skinned)
    wanted = sorted(
        np.round(np.concatenate([places[a], places[b]]), 3).tolist() for a, b in rigid.skeleton.bones
    )
    np.testing.assert_allclose(found, wanted, atol=2e-3)
