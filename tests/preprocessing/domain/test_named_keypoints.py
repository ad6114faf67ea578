"""Files of DeepLabCut's, SLEAP's and `movement`'s layouts, and of VideoPose3D's own videos.

The first three were written by pandas with PyTables, sleap-io 0.9.5 and movement 0.15: `files/` holds them,
HDF5 compressed. Their people are those of ``person``; in DeepLabCut's and SLEAP's the left shoulder of
person 3 is missing in frame 2, in SLEAP's and `movement`'s person 7 is missing in frame 1.
"""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from poseshift.geometry.skeleton import COCO_17, SKELETONS
from poseshift.preprocessing.domain.keypoints.named import arrange, canonical
from poseshift.preprocessing.domain.keypoints.registry import recognise
from poseshift.preprocessing.errors import RawDataError

FRAMES = 4
FILES = Path(__file__).parent / "files"
LEFT_SHOULDER = COCO_17.joint_names.index("left_shoulder")


def person(seed: int) -> np.ndarray:
    """(frames, 17, 3) pixels and confidences of COCO's joints."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.uniform(100, 900, (FRAMES, 17, 2)), rng.uniform(0.3, 1.0, (FRAMES, 17, 1))], axis=-1
    ).round(3)


def unpacked(name: str, folder: Path) -> Path:
    if (FILES / name).is_file():
        return FILES / name
    path = folder / name
    path.write_bytes(gzip.decompress((FILES / f"{name}.gz").read_bytes()))
    return path


WRITTEN = {
    "dlc_single.csv": ("deeplabcut", {"1": 3}),
    "dlc_multi.csv": ("deeplabcut", {"3": 3, "7": 7}),
    "dlc_multi.h5": ("deeplabcut", {"3": 3, "7": 7}),
    "dlc_multi_fixed.h5": ("deeplabcut", {"3": 3, "7": 7}),
    "sleap.analysis.csv": ("sleap", {"3": 3, "7": 7}),
    "sleap.analysis.h5": ("sleap", {"3": 3, "7": 7}),
    "movement.nc": ("movement", {"3": 3, "7": 7}),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_other_programs_give_their_people(name: str, tmp_path: Path) -> None:
    layout, people = WRITTEN[name]
    path = unpacked(name, tmp_path)
    found = recognise(path)
    assert found.name == layout
    (view,) = found.read(path, "tracked")
    assert (view.skeleton, view.first_frame) == ("coco_17", 0)
    assert {track.person for track in view.tracks} == set(people)
    for track in view.tracks:
        expected = person(people[track.person])
        if layout != "movement" and people[track.person] == 3:
            expected[2, LEFT_SHOULDER] = 0
        if layout != "deeplabcut" and people[track.person] == 7:
            expected[1] = 0
        np.testing.assert_allclose(track.keypoints, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["dlc_multi.csv", "sleap.analysis.h5", "movement.nc"])
def test_the_most_certain_person_of_each_image_is_kept(name: str, tmp_path: Path) -> None:
    path = unpacked(name, tmp_path)
    (view,) = recognise(path).read(path, "most-certain")
    (track,) = view.tracks
    both = np.stack([person(3), person(7)])
    if name == "sleap.analysis.h5":
        both[0, 2, LEFT_SHOULDER] = 0
        both[1, 1] = 0
    elif name == "movement.nc":
        both[1, 1] = 0
    else:
        both[0, 2, LEFT_SHOULDER] = 0
    best = both[..., 2].mean(axis=-1).argmax(axis=0)
    np.testing.assert_allclose(track.keypoints, both[best, np.arange(FRAMES)], rtol=1e-6)


def test_labelled_frames_of_deeplabcut_are_certain_and_numbered_by_image(tmp_path: Path) -> None:
    parts = COCO_17.joint_names
    lines = [
        "scorer,,," + ",".join("me" for _ in range(34)),
        "bodyparts,,," + ",".join(part for part in parts for _ in range(2)),
        "coords,,," + ",".join(["x", "y"] * 17),
    ]
    for frame in (3, 5):
        lines.append(f"labeled-data,video,img{frame:04d}.png," + ",".join(str(10 + n) for n in range(34)))
    path = tmp_path / "CollectedData_me.csv"
    path.write_text("\n".join(lines) + "\n")
    (view,) = recognise(path).read(path, "tracked")
    assert (view.first_frame, view.frames) == (3, 3)
    (track,) = view.tracks
    np.testing.assert_array_equal(track.keypoints[[0, 2], ..., 2], 1)
    np.testing.assert_array_equal(track.keypoints[1], 0)
    np.testing.assert_array_equal(track.keypoints[0, 1, :2], [12, 13])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("LKnee", "left_knee"), ("l_knee", "left_knee"), ("Knee left", "left_knee")),
        *(("rightKnee", "right_knee"), ("rknee", "right_knee"), ("lefthip", "left_hip")),
        *(("leftBigToe", "left_big_toe"), ("Nose", "nose"), ("MidHip", "mid_hip"), ("knee1", "knee1")),
        *(("earleft", "left_ear"), ("elbow", "elbow"), ("R_Wrist", "right_wrist")),
    ],
)
def test_names_of_body_parts(name: str, meant: str) -> None:
    assert canonical(name) == meant


def test_joint_sets_are_found_by_names(tmp_path: Path) -> None:
    for joint_set in ("coco_17", "halpe_26", "body_25", "mediapipe_33", "human36m_17"):
        names = list(reversed(SKELETONS[joint_set].joint_names))
        found = arrange(tmp_path, names)
        assert found.joint_set == joint_set
        assert [names[row] for row in found.rows] == list(SKELETONS[joint_set].joint_names)


def test_points_that_do_not_say_their_side_are_refused(tmp_path: Path) -> None:
    parts = [
        f"{part}{side}" for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder") for side in (1, 2)
    ]
    with pytest.raises(RawDataError, match=r"found points named ankle1, .*also of left_ankle"):
        arrange(tmp_path / "a.csv", parts)
    with pytest.raises(RawDataError, match="several points that are left_hip"):
        arrange(tmp_path / "a.csv", [*COCO_17.joint_names, "LHip"])


def test_movement_in_three_dimensions_and_netcdf_3_are_refused(tmp_path: Path) -> None:
    path = unpacked("movement.nc", tmp_path)
    with h5py.File(path, "r+") as file:
        file["space"][1] = "z"
    with pytest.raises(RawDataError, match="space of x, z, not x and y"):
        recognise(path).read(path, "tracked")
    path.write_bytes(b"CDF\x01" + bytes(40))
    with pytest.raises(RawDataError, match="found netCDF 3"):
        recognise(path).read(path, "tracked")


def test_an_array_of_another_file_is_not_followed(tmp_path: Path) -> None:
    path = unpacked("sleap.analysis.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        del file["point_scores"]
        file["point_scores"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "scores")
    with pytest.raises(RawDataError, match="'point_scores' that is no array of this file"):
        recognise(path).read(path, "tracked")


def test_a_pickle_that_names_code_is_refused(tmp_path: Path) -> None:
    path = unpacked("dlc_multi.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(
            b"cposix\nsystem\n(S'true'\ntR."
        )
    with pytest.raises(RawDataError, match=r"posix\.system, which is not plain data"):
        recognise(path).read(path, "tracked")


def custom(path: Path, layout: str = "coco", **members: object) -> Path:
    """Write what VideoPose3D's prepare_data_2d_custom.py writes, by its published layout."""
    videos = {
        f"{name}.mp4": {"custom": [person(seed)[..., :2].astype("float32")]}
        for name, seed in (("left", 3), ("right", 7))
    }
    metadata = {
        "layout_name": layout,
        "num_joints": 17,
        "keypoints_symmetry": [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]],
        "video_metadata": {name: {"w": 1920, "h": 1080} for name in videos},
    }
    content = {"positions_2d": videos, "metadata": metadata, **members}
    np.savez_compressed(path, **content)
    return path


def test_videopose3d_of_own_videos(tmp_path: Path) -> None:
    path = custom(tmp_path / "data_2d_custom_mine.npz")
    views = {view.camera: view for view in recognise(path).read(path, "tracked")}
    assert set(views) == {"left", "right"}
    for name, seed in (("left", 3), ("right", 7)):
        view = views[name]
        assert (view.skeleton, view.size_px) == ("coco_17", (1920, 1080))
        (track,) = view.tracks
        np.testing.assert_allclose(track.keypoints[..., :2], person(seed)[..., :2], rtol=1e-6)
        assert (track.keypoints[..., 2] == 1).all()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"positions_2d": {"S1": {"Walking": [np.zeros((4, 17, 2))]}}}, "not 'custom' alone"),
        ({"positions_2d": {"a.mp4": {"custom": [np.zeros((4, 13, 2))]}}}, r"expected numbers of shape"),
        ({"metadata": {"layout_name": "openpose"}}, "joints of the layout 'openpose'"),
        ({"metadata": np.array([print], dtype=object)}, "which is not plain data"),
    ],
)
def test_other_contents_of_its_npz_are_refused(
    members: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = custom(tmp_path / "a.npz", **members)
    with pytest.raises(RawDataError, match=message):
        recognise(path).read(path, "tracked")
