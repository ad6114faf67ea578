"""COCO results of one video as the detections of a trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseshift.storage.exchange.detections import attach_detections, read_coco_detections
from poseshift.storage.exchange.npz import ExchangeError
from poseshift.storage.schema import Trial
from poseshift.storage.store import PoseStore

MakeTrial = Callable[..., Trial]


def person(image: int | str, seed: int = 0, score: float = 1.0) -> dict[str, Any]:
    keypoints = np.random.default_rng(seed).uniform(0, 1, (17, 3))
    return {"image_id": image, "category_id": 1, "keypoints": keypoints.ravel().tolist(), "score": score}


def save(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_joints_and_confidences(tmp_path: Path) -> None:
    entry = person(1)
    coco = np.reshape(entry["keypoints"], (17, 3))
    found = read_coco_detections(save(tmp_path / "d.json", [entry]), frames=3)
    assert (found.shape, found.dtype) == ((3, 17, 3), np.float32)
    assert not found[[0, 2]].any()
    # COCO: 0 nose, 5/6 shoulders, 9/10 wrists, 11/12 hips, 15/16 ankles, left first.
    np.testing.assert_allclose(found[1, 0, :2], (coco[11, :2] + coco[12, :2]) / 2, rtol=1e-6)
    assert found[1, 0, 2] == np.float32(min(coco[11, 2], coco[12, 2]))
    np.testing.assert_allclose(found[1, [9, 13, 16, 3, 6]], coco[[0, 9, 10, 16, 15]], rtol=1e-6)


def test_the_best_person_of_a_frame_is_taken(tmp_path: Path) -> None:
    people = [person(0, 1, 0.3), person(0, 2, 0.9), person(0, 3, 0.5)]
    alone = read_coco_detections(save(tmp_path / "one.json", people[1:2]), 1)
    np.testing.assert_array_equal(read_coco_detections(save(tmp_path / "all.json", people), 1), alone)


def test_frames_by_file_name_and_by_table(tmp_path: Path) -> None:
    by_number = read_coco_detections(save(tmp_path / "n.json", [person(0, 5), person(2, 6)]), 3)
    named = [person("54138969_000001.jpg", 5), person("54138969_000003.jpg", 6)]
    by_name = read_coco_detections(save(tmp_path / "s.json", named), 3, first_frame=1)
    images = [{"id": 77, "file_name": "video/1.png"}, {"id": 5, "file_name": "video/3.png"}]
    table = {"images": images, "annotations": [person(77, 5), person(5, 6)], "categories": []}
    by_table = read_coco_detections(save(tmp_path / "t.json", table), 3, first_frame=1)
    np.testing.assert_array_equal(by_number, by_name)
    np.testing.assert_array_equal(by_number, by_table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([person(3)], "frame 3 of a trial with frames 0 to 2; check first_frame"),
        ([person(-1)], "frame -1"),
        ([person("cover.jpg")], "no frame number"),
        ([{"image_id": 0, "keypoints": [1.0] * 50}], "not COCO-style"),
        ({"boxes": []}, "not COCO-style"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: object, message: str) -> None:
    path = save(tmp_path / "d.json", content)
    with pytest.raises(ExchangeError, match=message) as refusal:
        read_coco_detections(path, 3)
    assert str(path) in str(refusal.value)


def test_no_json(tmp_path: Path) -> None:
    (tmp_path / "d.json").write_bytes(b"\xff{")
    with pytest.raises(ExchangeError, match="not COCO-style"):
        read_coco_detections(tmp_path / "d.json", 3)


def test_attached_detections_are_stored(store: PoseStore, make_trial: MakeTrial, tmp_path: Path) -> None:
    trial = make_trial(frames=4)
    pixels = [np.concatenate([view, view[-1:]]) for view in trial.keypoints_2d]  # one frame longer
    detections = read_coco_detections(save(tmp_path / "d.json", [person(frame) for frame in range(4)]), 4)
    detected = attach_detections(attach_detections(trial, "cpn", pixels), "hrnet", [detections, detections])
    with store.transaction("detections") as transaction:
        transaction.write(detected)
    found = store.read(trial.key).detections
    np.testing.assert_array_equal(found["cpn"][..., :2], trial.keypoints_2d)
    assert (found["cpn"][..., 2] == 1).all()
    np.testing.assert_array_equal(found["hrnet"][1], detections)
    pixels[1][2, 13] = np.nan  # not seen, as some detectors say it; a store holds finite numbers only
    gap = attach_detections(trial, "cpn", pixels).detections["cpn"]
    assert gap[1, 2, 13].tolist() == [0, 0, 0]
    assert np.count_nonzero(gap[..., 2] == 0) == 1
    with pytest.raises(ValueError, match="has 2 cameras; detections are of 1"):
        attach_detections(trial, "cpn", pixels[:1])
    with pytest.raises(ValueError, match="camera 60457274: detections of 2 frames; expected at least 4"):
        attach_detections(trial, "cpn", [pixels[0], pixels[1][:2]])


@pytest.mark.parametrize("count", [26, 133, 136])
def test_layouts_that_begin_with_coco_are_read_as_coco(tmp_path: Path, count: int) -> None:
    entry = person(0)
    wide = {**entry, "keypoints": [*entry["keypoints"], *[9.0] * 3 * (count - 17)]}
    np.testing.assert_array_equal(
        read_coco_detections(save(tmp_path / "wide.json", [wide]), 1),
        read_coco_detections(save(tmp_path / "coco.json", [entry]), 1),
    )


def test_other_layouts_are_refused_in_a_line_that_counts(tmp_path: Path) -> None:
    people = [{"image_id": frame, "keypoints": [1.0] * 75} for frame in range(400)]
    with pytest.raises(ExchangeError, match=r"75 numbers are 25 keypoints; expected .*26") as refusal:
        read_coco_detections(save(tmp_path / "d.json", people), 400)
    assert "and 397 more problems" in str(refusal.value)
    assert len(str(refusal.value)) < 1000
    assert "\n" not in str(refusal.value)


def test_visibility_flags_are_no_confidences(tmp_path: Path) -> None:
    entry = person(0)
    flags = np.full(17, 2.0)
    flags[[9, 10]] = (0, 1)  # the left wrist is not labelled, the right one hidden
    pixels = np.reshape(entry["keypoints"], (17, 3))[:, :2]
    entry["keypoints"] = np.column_stack([pixels, flags]).ravel().tolist()
    found = read_coco_detections(save(tmp_path / "d.json", [entry]), 1)
    assert found[0, :, 2].tolist() == [1.0] * 13 + [0.0] + [1.0] * 3


@pytest.mark.parametrize("field", ["track_id", "idx"])
def test_one_of_two_people_is_followed_by_track(
    tmp_path: Path, field: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The other has the higher score in one image, where he must not be taken."""
    first = [{**person(frame, 10 + frame, 0.8), field: 7} for frame in range(3)]
    second = [{**person(1, 99, 0.95), field: 3.0}]
    with caplog.at_level("WARNING"):
        both = read_coco_detections(save(tmp_path / "both.json", [*second, *first]), 3)
    np.testing.assert_array_equal(both, read_coco_detections(save(tmp_path / "one.json", first), 3))
    assert "2 people by track; the one of track 7 is followed, in 3 of 4 detections" in caplog.text


def test_ids_may_be_text_in_one_list_and_numbers_in_the_other(tmp_path: Path) -> None:
    images = [{"id": 5, "file_name": "v/000002.png"}, {"id": "6", "file_name": "v/000001.png"}]
    table = {"images": images, "annotations": [person("5", 1), person(6, 2)]}
    found = read_coco_detections(save(tmp_path / "t.json", table), 2, first_frame=1)
    expected = read_coco_detections(save(tmp_path / "n.json", [person(1, 1), person(0, 2)]), 2)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_detections_in_other_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "d.json").write_bytes(json.dumps([person(0)]).encode(encoding))
    assert read_coco_detections(tmp_path / "d.json", 1).any()
