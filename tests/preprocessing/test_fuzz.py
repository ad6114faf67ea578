"""Every reader refuses mutated files with the project's own errors; ``benchmarks.fuzz`` has the long run."""

import contextlib
import signal
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fuzz import campaign
from benchmarks.fuzz.campaign import Bounds, run
from benchmarks.fuzz.child import mutated
from benchmarks.fuzz.targets import Target, targets
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from poseshift.preprocessing.errors import RawDataError
from poseshift.preprocessing.human36m.cdf import read_pose, write_pose
from poseshift.preprocessing.mpi_inf_3dhp.captury import parse_captury
from poseshift.preprocessing.mpi_inf_3dhp.mat5 import Mat5Error, read_mat5

MUTATIONS = 200
NAMES = (
    *("CDF pose file", "metadata.xml", "tgz archive", "annot.mat (MATLAB v5)", "annot_data.mat (HDF5)"),
    *("camera.calibration", ".calib", "motion bundle (npz)", "ASF skeleton", "AMC motion"),
    *("VideoPose3D 3D (npz, pickle)", "VideoPose3D 2D (npz, pickle)", "P-STMO training (npz, pickle)"),
    *("P-STMO test (npz, pickle)", "mmpose annotations (npz)", "PoseAug test set (npz)"),
)


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return {target.name: target for target in targets(tmp_path_factory.mktemp("seeds"))}


def test_every_reader_is_fuzzed(every: dict[str, Target]) -> None:
    assert tuple(every) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_mutated_files_are_read_or_refused(every: dict[str, Target], name: str) -> None:
    mutations = MUTATIONS // 4 if name == "metadata.xml" else MUTATIONS  # 20 ms for each of these
    tally = run(every[name], mutations, seed=1, bounds=Bounds(memory_bytes=1 << 30, seconds=60))
    assert tally.defects == []
    assert sum(tally.counts.values()) == mutations
    assert tally.counts["refused"] > mutations / 4
    assert tally.peak_bytes < 256 << 20


@pytest.mark.parametrize("name", NAMES)
def test_the_valid_file_is_read(every: dict[str, Target], name: str, tmp_path: Path) -> None:
    path = every[name].place(tmp_path)
    path.write_bytes(every[name].seed)
    assert every[name].read(path) is not None


def test_a_mutation_is_made_again_from_its_number(every: dict[str, Target]) -> None:
    target = every["CDF pose file"]
    assert mutated(target, 0, 7) == mutated(target, 0, 7)
    assert mutated(target, 0, 7) != mutated(target, 0, 8) != mutated(target, 1, 8)


def misbehave(path: Path) -> None:
    """A reader with every fault that the campaign is there to find, by the first byte of the file."""
    match path.read_bytes()[:1]:
        case b"c":
            signal.raise_signal(signal.SIGSEGV)
        case b"h":
            signal.pause()
        case b"e":
            raise KeyError("not the project's own error")
        case b"m":
            np.ones(1 << 40)
        case b"w":
            (path.parent.parent / "escaped").write_text("outside")
        case b"r":
            raise RawDataError(path, found="r", expected="o", remedy="")


def test_the_campaign_sees_and_survives_every_kind_of_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "_ENTIRE", 4)

    def choose(_: bytes, random: np.random.Generator) -> bytes:
        return b"cehmowr"[(place := int(random.integers(7))) : place + 1]

    target = Target("faulty", "file", b"o", choose, misbehave)
    contents = [mutated(target, 8, index) for index in range(16)]
    assert set(contents) == {b"c", b"e", b"h", b"m", b"o", b"w", b"r"}
    tally = run(target, 16, seed=8, bounds=Bounds(memory_bytes=1 << 30, seconds=1.0))
    expected = {b"c": "crash", b"h": "hang", b"e": "wrong error", b"m": "wrong error", b"w": "side effect"}
    found = {outcome.index: outcome.kind for outcome in tally.defects}
    assert found == {
        index: expected[content] for index, content in enumerate(contents) if content in expected
    }
    assert tally.counts["read"] == contents.count(b"o")
    assert tally.counts["refused"] == contents.count(b"r")


@seed(0)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 600), value=st.binary(min_size=1, max_size=8))
def test_any_bytes_in_the_head_of_a_pose_file(tmp_path: Path, place: int, value: bytes) -> None:
    path = tmp_path / "Directions.cdf"
    write_pose(path, np.ones((4, 32, 3)))
    content = bytearray(path.read_bytes())
    content[place : place + len(value)] = value
    path.write_bytes(content)
    with contextlib.suppress(RawDataError):
        poses = read_pose(path, 32, 3)
        assert poses.shape == (4, 32, 3)
        assert np.isfinite(poses).all()


@seed(0)
@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_as_calibration(text: str) -> None:
    with pytest.raises(RawDataError):
        parse_captury(f"tc camera calibration v0.3\ncamera 0 cam_0\n{text}", Path("ts1.calib"))


@seed(0)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200))
def test_any_bytes_as_a_matlab_file(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "annot.mat"
    path.write_bytes(bytes(124) + b"\x00\x01IM" + body)
    with contextlib.suppress(Mat5Error):
        assert read_mat5(path, ("annot2",)) == {}
