"""C3D, read by a small reader that was written from the format's user guide (Intel numbers, real data)."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from poseshift.storage.motion_files import c3d
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.motion_files.registry import MOTION_FORMATS


def read_parameters(content: bytes, block: int) -> dict[str, Any]:
    """Parameters as ``GROUP:NAME``; texts as lists of strings, numbers as tuples."""
    place = (block - 1) * 512 + 4
    groups: dict[int, str] = {}
    found: list[tuple[int, str, Any]] = []
    while content[place]:
        length = abs(struct.unpack_from("<b", content, place)[0])  # negative where the name is locked
        identity = struct.unpack_from("<b", content, place + 1)[0]
        name = content[place + 2 : place + 2 + length].decode()
        start = place + 2 + length
        step = struct.unpack_from("<h", content, start)[0]
        if identity < 0:
            groups[-identity] = name
        else:
            kind, dimensions = struct.unpack_from("<bB", content, start + 2)
            sizes = content[start + 4 : start + 4 + dimensions]
            count = int(np.prod(list(sizes), dtype=int))
            data = start + 4 + dimensions
            if kind == -1:
                text = content[data : data + count].decode()
                each = sizes[0] if sizes else 1
                value: Any = [text[at : at + each].strip() for at in range(0, count, each or 1)]
            else:
                code = {1: "b", 2: "h", 4: "f"}[kind]
                value = struct.unpack_from(f"<{count}{code}", content, data)
            found.append((identity, name, value))
        if step == 0:
            break
        place = start + step
    return {f"{groups[group]}:{name}": value for group, name, value in found}


def read_points(content: bytes) -> tuple[dict[str, Any], int, np.ndarray]:
    """Parameters, number of the first frame, and points (frames, points, 3) in the file's unit."""
    block, magic = content[0], content[1]
    assert magic == 0x50
    points, analog, first, last = struct.unpack_from("<4H", content, 2)
    (scale,) = struct.unpack_from("<f", content, 12)
    (data_block,) = struct.unpack_from("<H", content, 16)
    assert analog == 0
    assert scale < 0  # real numbers
    assert content[(block - 1) * 512 + 3] == 84  # Intel
    rows = np.frombuffer(content, "<f4", (last - first + 1) * points * 4, (data_block - 1) * 512)
    return read_parameters(content, block), first, rows.reshape(-1, points, 4)[..., :3]


@pytest.mark.parametrize(("axes", "up"), [("world", "+Z"), ("camera", "-Y")])
def test_c3d_is_millimetres_in_the_axes_of_the_motion(
    axes: str, up: str, changing: Motion, in_camera: Motion
) -> None:
    motion = changing if axes == "world" else in_camera
    parameters, first, points = read_points(MOTION_FORMATS["c3d"].encode(motion))
    np.testing.assert_allclose(points, 1000 * motion.positions, atol=0.1)
    assert first == 1
    assert parameters["POINT:UNITS"] == ["mm"]
    assert parameters["POINT:RATE"] == (50.0,)
    assert parameters["POINT:LABELS"] == list(motion.skeleton.joint_names)
    assert (parameters["POINT:X_SCREEN"], parameters["POINT:Y_SCREEN"]) == (["+X"], [up])


def test_a_missing_library_is_named_before_anything_is_lifted(
    changing: Motion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(c3d, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'poseshift\[c3d\]'"):
        MOTION_FORMATS["c3d"].require()


def test_more_frames_than_c3d_counts_are_refused(changing: Motion) -> None:
    late = replace(changing, frame=changing.frame + 65_535)
    with pytest.raises(ValueError, match="C3D counts 65,535 at most"):
        MOTION_FORMATS["c3d"].encode(late)
