"""Keypoint files of every layout, written here as detectors write them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseshift.geometry.skeleton import HUMAN36M_17, SKELETONS
from poseshift.preprocessing.domain.assemble import ClipRequest, KeypointSource, assemble
from poseshift.preprocessing.domain.keypoints.registry import KEYPOINT_FORMATS, recognise
from poseshift.preprocessing.domain.tracks import on_human36m
from poseshift.preprocessing.errors import RawDataError

FRAMES = 4
H36M = HUMAN36M_17.joint_names.index


def person(seed: int, joints: int) -> np.ndarray:
    """(frames, joints, 3) pixels and confidences."""
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.uniform(100, 900, (FRAMES, joints, 2)), rng.uniform(0.3, 1.0, (FRAMES, joints, 1))], axis=-1
    ).round(3)


PEOPLE = {"3": 3, "7": 7}
"""Track id to seed."""


def coco(path: Path, joints: int, images: Callable[[int], int | str], identity: str | None) -> Path:
    people = [
        {
            "image_id": images(frame),
            "category_id": 1,
            "keypoints": person(seed, joints)[frame].ravel().tolist(),
            "score": 0.9 if name == "3" else 0.5,
            **(
                {}
                if identity is None
                else {identity: int(name) if identity == "track_id" else [[float(name)]]}
            ),
        }
        for frame in range(FRAMES)
        for name, seed in PEOPLE.items()
    ]
    path.write_text(json.dumps(people))
    return path


def coco_annotations(path: Path) -> Path:
    content: dict[str, Any] = {
        "images": [
            {"id": 70 + frame, "file_name": f"video/img_{frame + 1:05d}.jpg", "width": 640, "height": 480}
            for frame in range(FRAMES)
        ],
        "annotations": [
            {
                "id": 1,
                "image_id": 70 + frame,
                "keypoints": person(seed, 17)[frame].ravel().tolist(),
                "track_id": int(name),
            }
            for frame in range(FRAMES)
            for name, seed in PEOPLE.items()
        ],
    }
    path.write_text(json.dumps(content))
    return path


def openpose(folder: Path, tracked: bool = True, joints: int = 25) -> Path:
    folder.mkdir()
    for frame in range(FRAMES):
        people = [
            {
                "person_id": [int(name) if tracked else -1],
                "pose_keypoints_2d": person(seed, joints)[frame].ravel().tolist(),
                "face_keypoints_2d": [],
            }
            for name, seed in PEOPLE.items()
        ]
        file = folder / f"video_{frame:012d}_keypoints.json"
        file.write_text(json.dumps({"version": 1.3, "people": people}))
    return folder


def mmpose(path: Path, wrapped: bool) -> Path:
    images = [
        {
            "frame_id": frame,
            "instances": [
                {
                    "keypoints": person(seed, 17)[frame, :, :2].tolist(),
                    "keypoint_scores": person(seed, 17)[frame, :, 2].tolist(),
                    "bbox": [[0, 0, 1, 1]],
                    "bbox_score": 0.7,
                    "track_id": int(name),
                }
                for name, seed in PEOPLE.items()
            ],
        }
        for frame in range(FRAMES)
    ]
    path.write_text(json.dumps({"meta_info": {}, "instance_info": images} if wrapped else images))
    return path


LAYOUTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "coco, numbers": (lambda folder: coco(folder / "a.json", 17, lambda i: i + 5, "track_id"), "coco_17"),
    "coco, file names": (
        lambda folder: coco(folder / "a.json", 17, lambda i: f"cam1_{i:06d}.png", "track_id"),
        "coco_17",
    ),
    "coco, images": (lambda folder: coco_annotations(folder / "a.json"), "coco_17"),
    "alphapose": (lambda folder: coco(folder / "a.json", 26, lambda i: f"{i}.jpg", "idx"), "halpe_26"),
    "openpose": (lambda folder: openpose(folder / "a"), "body_25"),
    "openpose, COCO": (lambda folder: openpose(folder / "a", joints=18), "openpose_18"),
    "mmpose": (lambda folder: mmpose(folder / "a.json", wrapped=False), "coco_17"),
    "mmpose, demo": (lambda folder: mmpose(folder / "a.json", wrapped=True), "coco_17"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_and_gives_its_tracks(layout: str, tmp_path: Path) -> None:
    write, joint_set = LAYOUTS[layout]
    path = write(tmp_path)
    (view,) = recognise(path).read(path, "tracked")
    assert view.skeleton == joint_set
    assert view.size_px == ((640, 480) if layout == "coco, images" else None)
    assert {track.person for track in view.tracks} == set(PEOPLE)
    for track in view.tracks:
        expected = person(PEOPLE[track.person], SKELETONS[joint_set].joints)
        np.testing.assert_allclose(track.keypoints, expected, rtol=1e-6)


def test_mediapipe_by_landmarks() -> None:
    """Pelvis, spine, thorax and head by arithmetic on MediaPipe's published landmark numbers."""
    marks = person(0, 33)
    made = on_human36m(marks.astype(np.float32), "mediapipe_33")

    def mean(*numbers: int) -> np.ndarray:
        return np.asarray(marks[:, numbers].mean(axis=1))

    np.testing.assert_allclose(made[:, H36M("left_ankle")], marks[:, 27], rtol=1e-6)
    np.testing.assert_allclose(made[:, H36M("right_wrist")], marks[:, 16], rtol=1e-6)
    np.testing.assert_allclose(made[:, H36M("pelvis"), :2], mean(23, 24)[:, :2], rtol=1e-5)
    np.testing.assert_allclose(made[:, H36M("thorax"), :2], mean(11, 12)[:, :2], rtol=1e-5)
    np.testing.assert_allclose(made[:, H36M("spine"), :2], mean(11, 12, 23, 24)[:, :2], rtol=1e-5)
    top = mean(7, 8) + 1.9 * (mean(2, 5) - mean(9, 10))
    np.testing.assert_allclose(made[:, H36M("head"), :2], top[:, :2], rtol=1e-4)
    np.testing.assert_allclose(
        made[:, H36M("spine"), 2], marks[:, [11, 12, 23, 24], 2].min(axis=1), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("joint_set", "pelvis", "thorax", "head"),
    [
        ("body_25", (8,), (1,), (15, 16)),
        ("openpose_18", (8, 11), (1,), (14, 15)),
        ("halpe_26", (19,), (18,), (17,)),
        ("coco_17", (11, 12), (5, 6), (1, 2)),
    ],
)
def test_trunks_of_other_detectors(
    joint_set: str, pelvis: tuple[int, ...], thorax: tuple[int, ...], head: tuple[int, ...]
) -> None:
    marks = person(1, SKELETONS[joint_set].joints)
    made = on_human36m(marks.astype(np.float32), joint_set)
    for name, numbers in (("pelvis", pelvis), ("thorax", thorax), ("head", head)):
        np.testing.assert_allclose(made[:, H36M(name), :2], marks[:, numbers, :2].mean(axis=1), rtol=1e-5)
    for name in ("left_knee", "right_elbow", "left_shoulder", "right_ankle"):
        number = SKELETONS[joint_set].joint_names.index(name)
        np.testing.assert_allclose(made[:, H36M(name)], marks[:, number], rtol=1e-6)


def test_a_joint_that_was_not_seen_is_missing_and_so_is_what_is_made_of_it() -> None:
    marks = person(2, 17).astype(np.float32)
    marks[1, 11] = (0, 0, 0)  # left hip
    marks[2, 9] = np.nan  # left wrist
    made = on_human36m(marks, "coco_17")
    missing = {(1, H36M(name)) for name in ("left_hip", "pelvis", "spine")} | {(2, H36M("left_wrist"))}
    assert {(int(f), int(j)) for f, j in np.argwhere(made[..., 2] == 0)} == missing
    assert np.isfinite(made).all()
    assert not made[made[..., 2] == 0].any()


def test_several_people_without_identities_need_a_choice(tmp_path: Path) -> None:
    path = coco(tmp_path / "a.json", 17, lambda i: i, None)
    with pytest.raises(RawDataError, match=r"several people in frame 0, without track ids") as error:
        KEYPOINT_FORMATS["coco"].read(path, "tracked")
    assert "--people most-certain" in error.value.remedy
    (view,) = KEYPOINT_FORMATS["coco"].read(path, "most-certain")
    (track,) = view.tracks
    np.testing.assert_allclose(track.keypoints, person(3, 17), rtol=1e-6)


def test_annotations_of_a_crowd_are_told_by_track(tmp_path: Path) -> None:
    """Ids as text, images in any order, people who come and go, and a region that is marked as a crowd."""
    images = [
        {"id": f"f{n}", "file_name": f"clip/{n:06d}.jpg", "width": 640, "height": 480} for n in range(FRAMES)
    ]
    annotations: list[dict[str, Any]] = [
        {
            "id": 10 * seed + frame,
            "image_id": f"f{frame}",
            "iscrowd": 0,
            "keypoints": person(seed, 17)[frame].ravel().tolist(),
            "num_keypoints": 17,
            "track_id": f"p{seed}",
        }
        for seed in (1, 2, 3, 4, 5)
        for frame in range(FRAMES)
        if (seed + frame) % 3
    ]
    crowd = {"id": 999, "image_id": "f1", "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0}
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"images": images[::-1], "annotations": [*annotations[::-1], crowd], "categories": []})
    )
    (view,) = recognise(path).read(path, "tracked")
    assert view.first_frame == 0
    assert {track.person for track in view.tracks} == {f"p{seed}" for seed in (1, 2, 3, 4, 5)}
    for track in view.tracks:
        seed = int(track.person[1:])
        expected = person(seed, 17)
        expected[[frame for frame in range(FRAMES) if (seed + frame) % 3 == 0]] = 0
        np.testing.assert_allclose(track.keypoints, expected, rtol=1e-6)


def test_visibility_flags_are_no_confidences(tmp_path: Path) -> None:
    keypoints = person(1, 17)[0]
    keypoints[:, 2] = [0, 1, 2] * 5 + [2, 2]
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"image_id": 0, "keypoints": keypoints.ravel().tolist()}]))
    (view,) = recognise(path).read(path, "tracked")
    np.testing.assert_array_equal(view.tracks[0].keypoints[0, :, 2], keypoints[:, 2] > 0)


def test_openpose_without_its_tracker_has_no_identities(tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match="without track ids"):
        KEYPOINT_FORMATS["openpose"].read(openpose(tmp_path / "a", tracked=False), "tracked")


@pytest.mark.parametrize(("joints", "found"), [(24, "24 keypoints"), (15, "15 keypoints")])
def test_other_models_of_openpose_are_refused(joints: int, found: str, tmp_path: Path) -> None:
    with pytest.raises(RawDataError, match=found):
        KEYPOINT_FORMATS["openpose"].read(openpose(tmp_path / "a", joints=joints), "tracked")
    torn = {"people": [{"pose_keypoints_2d": [1.0] * 76}]}
    (tmp_path / "a" / "video_000000000000_keypoints.json").write_text(json.dumps(torn))
    with pytest.raises(RawDataError, match="another layout"):
        KEYPOINT_FORMATS["openpose"].read(tmp_path / "a", "tracked")


def test_people_of_a_clip_are_trials_and_moments_are_matched(tmp_path: Path) -> None:
    """Two cameras whose files begin at different frames: equal numbers are of one moment."""
    first = coco(tmp_path / "left.json", 17, lambda i: i, "track_id")
    second = coco(tmp_path / "right.json", 17, lambda i: i + 2, "track_id")
    clip = assemble(
        ClipRequest(
            clip="both",
            keypoints=(KeypointSource(path=first), KeypointSource(path=second, camera="R")),
            fps=25.0,
            size_px=(1000, 1000),
        )
    )
    assert [trial.key.path for trial in clip.trials] == ["person-3/both", "person-7/both"]
    trial = clip.trials[0]
    assert [camera.name for camera in trial.cameras] == ["left", "R"]
    seen = trial.detections["detected"][..., H36M("left_knee"), :]
    knee = person(3, 17)[:, 13]
    np.testing.assert_allclose(seen[0], np.concatenate([knee, np.zeros((2, 3))]), rtol=1e-6)
    np.testing.assert_allclose(seen[1], np.concatenate([np.zeros((2, 3)), knee]), rtol=1e-6)
    assert trial.intrinsics == "assumed"
    assert any("ASSUMED" in sentence for sentence in clip.told)
    assert trial.cameras[0].focal_px[0] == pytest.approx(500 / np.tan(np.radians(30)))
    assert {source.path for source in trial.sources} == {"left.json", "right.json"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '[{"image_id": 1}]', "another layout"),
        ("a.json", json.dumps([{"image_id": 1, "keypoints": [0.0] * 30}]), "10.0. keypoints"),
        ("a.json", json.dumps([{"image_id": "front", "keypoints": [0.0] * 51}]), "image 'front'"),
        (
            "a.json",
            json.dumps(
                [{"frame_id": 1, "instances": [{"keypoints": [[0, 0]] * 5, "keypoint_scores": [1] * 5}]}]
            ),
            "5. keypoints",
        ),
        (
            "a.json",
            json.dumps([{"image_id": number, "keypoints": [1.0] * 51} for number in (1, 10**12)]),
            "at most 1,000,000 frames",
        ),
        ("a.json", "{", "no readable JSON"),
        ("a.csv", "x,y", "no layout of keypoints that is known"),
        ("a.npz", "no zip", "no layout of keypoints that is known"),
    ],
)
def test_bad_files_are_refused_by_name(name: str, content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(RawDataError, match=message) as error:
        recognise(path).read(path, "tracked")
    assert error.value.path == path


def test_landmarks_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", front=np.zeros((5, 17, 3)), front_size=np.array([640, 480]))
    with pytest.raises(RawDataError, match=r"an array of shape \(5, 17, 3\) under 'front'"):
        recognise(tmp_path / "a.npz").read(tmp_path / "a.npz", "tracked")
