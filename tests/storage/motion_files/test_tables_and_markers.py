"""npz, CSV and TRC, each read by NumPy or pandas and compared with what was written."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.motion_files.registry import MOTION_FORMATS

TENTH_MM = 1e-4


def test_npz_has_everything(changing: Motion) -> None:
    with np.load(io.BytesIO(MOTION_FORMATS["npz"].encode(changing)), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["positions"], changing.positions)
        np.testing.assert_array_equal(found["error"], changing.error_m)
        np.testing.assert_array_equal(found["interpolated"], changing.interpolated)
        np.testing.assert_array_equal(found["frame"], changing.frame)
        assert (str(found["subject"]), str(found["trial"]), str(found["camera"])) == (
            "S1",
            "Walking 1",
            "cam 0",
        )
        assert (float(found["fps"]), str(found["axes"])) == (50.0, "world")
        assert tuple(found["joint_names"]) == changing.skeleton.joint_names
        assert tuple(found["parents"]) == changing.skeleton.parents
        np.testing.assert_array_equal(found["translation"], [0.1, 0.2, 4.0])


def test_a_fused_motion_has_no_camera_in_its_npz(changing: Motion) -> None:
    content = MOTION_FORMATS["npz"].encode(replace(changing, to_camera=None))
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        assert "rotation" not in found


def test_csv_is_read_by_pandas(changing: Motion) -> None:
    table = pd.read_csv(io.BytesIO(MOTION_FORMATS["csv"].encode(changing)))
    assert len(table) == 25
    np.testing.assert_allclose(table["time_s"], np.arange(25) / 50, atol=1e-6)
    for joint, name in enumerate(changing.skeleton.joint_names):
        places = table[[f"{name}_{axis}_m" for axis in "xyz"]].to_numpy()
        np.testing.assert_allclose(places, changing.positions[:, joint], atol=TENTH_MM)
        np.testing.assert_allclose(table[f"{name}_error_m"], changing.error_m[:, joint], atol=TENTH_MM)
        np.testing.assert_array_equal(table[f"{name}_interpolated"] == 1, changing.interpolated[:, joint])


def read_trc(content: bytes) -> tuple[list[str], pd.DataFrame]:
    """Unit and rate, and the rows, with columns named as ``<marker> <axis>``."""
    lines = content.decode().split("\n")
    assert lines[0].startswith("PathFileType\t4\t(X/Y/Z)\t")
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    markers = [name for name in lines[3].split("\t")[2:] if name]
    columns = [f"{name} {axis}" for name in markers for axis in "XYZ"]
    assert lines[4].split("\t")[2:] == [f"{axis}{n + 1}" for n in range(len(markers)) for axis in "XYZ"]
    assert lines[5] == ""
    rows = pd.read_csv(
        io.StringIO("\n".join(lines[6:])), sep="\t", header=None, names=["frame", "time", *columns]
    )
    assert len(rows) == int(facts["NumFrames"])
    assert len(markers) == int(facts["NumMarkers"])
    return [facts["Units"], facts["DataRate"]], rows


@pytest.mark.parametrize("axes", ["world", "camera"])
def test_trc_is_millimetres_with_y_up(axes: str, changing: Motion, in_camera: Motion) -> None:
    motion = changing if axes == "world" else in_camera
    (units, rate), rows = read_trc(MOTION_FORMATS["trc"].encode(motion))
    assert (units, float(rate)) == ("mm", 50.0)
    np.testing.assert_array_equal(rows["frame"], motion.frame + 1)
    x, y, z = np.moveaxis(motion.positions, -1, 0)
    up = {"X": x, "Y": z, "Z": -y} if axes == "world" else {"X": x, "Y": -y, "Z": -z}
    for joint, name in enumerate(motion.skeleton.joint_names):
        for axis, expected in up.items():
            np.testing.assert_allclose(rows[f"{name} {axis}"], 1000 * expected[:, joint], atol=0.1)
    assert (rows["head Y"] > rows["left_ankle Y"]).all()
