"""`movement`'s netCDF, read by h5py as HDF5 with dimension scales; Parquet and Rerun by their libraries.

The former was also opened by xarray 2026.9 (h5netcdf and netCDF4) and accepted by movement 0.15's
validator. pyarrow and rerun-sdk are optional: without them the format says what to install, with them the
file is read back.
"""

import io
import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pandas as pd
import pytest

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.domain.keypoints.registry import recognise
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.motion_files import parquet, rrd
from poseshift.storage.motion_files.motion import Motion
from poseshift.storage.motion_files.registry import MOTION_FORMATS

TENTH_MM = 1e-4


@pytest.mark.parametrize("axes", ["world", "camera"])
def test_movement_is_metres_with_named_dimensions(axes: str, changing: Motion, in_camera: Motion) -> None:
    motion = changing if axes == "world" else in_camera
    with h5py.File(io.BytesIO(MOTION_FORMATS["movement"].encode(motion)), "r") as file:
        position = file["position"]
        assert [dimension[0].name for dimension in position.dims] == [
            "/time",
            "/space",
            "/keypoints",
            "/individuals",
        ]
        np.testing.assert_allclose(
            position[:, :, :, 0].swapaxes(1, 2), motion.positions, atol=TENTH_MM, rtol=0
        )
        assert tuple(file["keypoints"].asstr()[:]) == motion.skeleton.joint_names
        assert list(file["space"].asstr()[:]) == ["x", "y", "z"]
        assert list(file["individuals"].asstr()[:]) == ["S1"]
        np.testing.assert_allclose(file["time"][:], np.arange(25) / 50)
        np.testing.assert_array_equal(file["confidence"][..., 0] == 0, motion.interpolated)
        np.testing.assert_allclose(file["error"][..., 0], motion.error_m)
        said = dict(file.attrs)
    assert (said["ds_type"], said["fps"], said["time_unit"]) == ("poses", 50.0, "seconds")
    assert (said["axes"], said["source_software"], said["camera"]) == (axes, "PoseShift", "cam 0")


def test_the_same_motion_gives_the_same_netcdf(changing: Motion) -> None:
    encode = MOTION_FORMATS["movement"].encode
    assert encode(changing) == encode(changing)


def test_a_prediction_is_not_taken_for_keypoints(changing: Motion, tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(MOTION_FORMATS["movement"].encode(changing))
    with pytest.raises(RawDataError, match="space of x, y, z, not x and y"):
        recognise(path).read(path, "tracked")


def test_parquet_is_read_by_its_own_library(changing: Motion) -> None:
    if find_spec("pyarrow") is None:
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'poseshift\[parquet\]'"):
            MOTION_FORMATS["parquet"].require()
        return
    import pyarrow.parquet

    content = io.BytesIO(MOTION_FORMATS["parquet"].encode(changing))
    table = pd.read_parquet(content)
    assert len(table) == 25
    np.testing.assert_allclose(table["time_s"], np.arange(25) / 50)
    for joint, name in enumerate(changing.skeleton.joint_names):
        places = table[[f"{name}_{axis}_m" for axis in "xyz"]].to_numpy()
        np.testing.assert_allclose(places, changing.positions[:, joint], atol=TENTH_MM)
        np.testing.assert_allclose(table[f"{name}_error_m"], changing.error_m[:, joint], atol=TENTH_MM)
        np.testing.assert_array_equal(table[f"{name}_interpolated"], changing.interpolated[:, joint])
    facts = json.loads(pyarrow.parquet.read_schema(content).metadata[b"poseshift"])
    assert (facts["axes"], facts["fps"], facts["trial"]) == ("world", 50.0, "Walking 1")
    assert facts["parents"] == list(HUMAN36M_17.parents)
    assert facts["to_camera"][1] == [0.1, 0.2, 4.0]
    fused = MOTION_FORMATS["parquet"].encode(replace(changing, to_camera=None))
    assert (
        json.loads(pyarrow.parquet.read_schema(io.BytesIO(fused)).metadata[b"poseshift"])["to_camera"] is None
    )


@pytest.mark.parametrize(("axes", "said"), [("world", [3, 5, 1]), ("camera", [3, 2, 5])])
def test_rrd_is_read_by_its_own_library(
    axes: str, said: list[int], changing: Motion, in_camera: Motion, tmp_path: Path
) -> None:
    """Rerun's numbers of directions: 1 up, 2 down, 3 right, 5 forward."""
    if find_spec("rerun") is None:
        with pytest.raises(ModuleNotFoundError, match=r"pip install 'poseshift\[rrd\]'"):
            MOTION_FORMATS["rrd"].require()
        return
    from rerun.chunk import RrdReader

    motion = changing if axes == "world" else in_camera
    path = tmp_path / "a.rrd"
    path.write_bytes(MOTION_FORMATS["rrd"].encode(motion))
    found = {}
    for chunk in RrdReader(str(path)).stream():
        batch = chunk.to_record_batch()
        for name in batch.schema.names:
            found[f"{chunk.entity_path.strip('/')} {name.split(':')[-1]}"] = batch.column(name).to_pylist()
    np.testing.assert_allclose(found["motion/joints positions"], motion.positions, atol=TENTH_MM, rtol=0)
    ends = motion.positions[:, np.array(motion.skeleton.bones)]
    np.testing.assert_allclose(found["motion/bones strips"], ends, atol=TENTH_MM, rtol=0)
    assert found["motion/joints frame"] == list(range(25))
    assert found["motion/joints labels"] == [list(motion.skeleton.joint_names)]
    assert found["motion xyz"] == [[said]]


@pytest.mark.parametrize(("name", "module"), [("parquet", parquet), ("rrd", rrd)])
def test_a_missing_library_is_named_before_anything_is_lifted(
    name: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install 'poseshift\[{name}\]'"):
        MOTION_FORMATS[name].require()
