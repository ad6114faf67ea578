"""Masks of any program: what is read, and what is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from PIL import Image

from poseshift.geometry.camera import Camera
from poseshift.storage.mask_files import LABELS_FILE, MaskError, MaskFolder
from poseshift.storage.rle import decode_rle
from poseshift.storage.schema import TrialKey

CAMERA = Camera("1", (7, 5), (9.0, 9.0), (3.5, 2.5))
TRIAL = TrialKey("S1", "Walking 1")
PARTS = ("head", "rest")


def runs_of(mask: NDArray[np.bool_]) -> list[int]:
    """Lengths of runs down the columns, one pixel after the other."""
    runs, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            runs.append(0)
            value = bool(pixel)
        runs[-1] += 1
    return runs


def text_of(runs: list[int]) -> str:
    """COCO's text of runs: signed groups of five bits, lowest first, differences from the fourth run on."""
    text = ""
    for number, run in enumerate(runs):
        left = run - runs[number - 2] if number > 2 else run
        while True:
            group = left % 32
            left = (left - group) // 32
            more = left != (-1 if group >= 16 else 0)
            text += chr(48 + group + (32 if more else 0))
            if not more:
                break
    return text


@settings(deadline=None, max_examples=40)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_run_lengths_are_read_as_numbers_and_as_text(mask: NDArray[np.bool_]) -> None:
    runs = runs_of(mask)
    np.testing.assert_array_equal(decode_rle(runs, *mask.shape), mask)
    np.testing.assert_array_equal(decode_rle(text_of(runs), *mask.shape), mask)


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=20))
def test_text_is_a_mask_of_the_size_or_refused(text: str) -> None:
    try:
        mask = decode_rle(text, 3, 4)
    except ValueError:
        return
    assert mask.shape == (3, 4)


def test_a_known_text_of_coco() -> None:
    """Five zeros, three ones, one zero, forty ones, fifteen zeros, by hand."""
    mask = np.zeros(64, dtype=bool)
    mask[5:8] = mask[9:49] = True
    # 5, 3, 1, then 40 - 3 = 37 = 5 + 32 and 15 - 1 = 14.
    np.testing.assert_array_equal(decode_rle("531U1>", 8, 8), mask.reshape(8, 8).T)


def folder(place: Path, labels: object = None) -> MaskFolder:
    place.mkdir(exist_ok=True)
    if labels is not None:
        (place / LABELS_FILE).write_text(json.dumps(labels))
    return MaskFolder.open(place, PARTS)


def draw(place: Path, mask: NDArray[np.generic], mode: str | None = None) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    (picture if mode is None else picture.convert(mode)).save(place)
    return place


def test_pictures_and_runs_of_the_same_masks_are_the_same(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, (5, 7)).astype(np.uint8)
    draw(tmp_path / "a" / "S1" / "Walking 1" / "1" / "000012.png", labels)
    pictures = folder(tmp_path / "a", {"head": [1], "rest": [2]}).view(TRIAL, CAMERA)
    annotations = [
        {
            "image_id": 12,
            "category_id": label,
            "score": 0.9,
            "segmentation": {"size": [5, 7], "counts": text_of(runs_of(labels == label))},
        }
        for label in (1, 2)
    ]
    (tmp_path / "b" / "S1" / "Walking 1").mkdir(parents=True)
    (tmp_path / "b" / "S1" / "Walking 1" / "1.json").write_text(json.dumps(annotations))
    runs = folder(tmp_path / "b").view(TRIAL, CAMERA)
    assert pictures.frames == runs.frames == {12}
    np.testing.assert_array_equal(pictures.read(12), labels)
    np.testing.assert_array_equal(runs.read(12), labels)
    palette = draw(tmp_path / "c" / "S1" / "Walking 1" / "1" / "3.png", labels, "P")
    assert folder(tmp_path / "c").view(TRIAL, CAMERA).read(3).shape == (5, 7)
    digest = folder(tmp_path / "c").digest()
    assert digest != folder(tmp_path / "a").digest()
    palette.rename(palette.with_name("4.png"))
    assert digest != folder(tmp_path / "c").digest()


def test_names_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    draw(tmp_path / "secret" / "1" / "0.png", np.zeros((5, 7), dtype=np.uint8))
    masks = folder(tmp_path / "masks")
    for subject, trial in (("..", "secret"), ("../..", "x"), (str(tmp_path), "secret")):
        assert (
            masks.view(TrialKey(subject, trial), CAMERA).file.resolve().is_relative_to(masks.folder.resolve())
        )
        assert not masks.view(TrialKey(subject, trial), CAMERA).frames


def test_pictures_that_do_not_fit_are_told(tmp_path: Path) -> None:
    place = tmp_path / "m" / "S1" / "Walking 1" / "1"
    masks = folder(tmp_path / "m")
    draw(place / "1.png", np.zeros((7, 5), dtype=np.uint8))
    draw(place / "2.png", np.zeros((5, 7, 3), dtype=np.uint8))
    draw(place / "3.png", np.zeros((5, 7), dtype=np.uint8))
    (place / "3.png").write_bytes((place / "3.png").read_bytes()[:50])
    draw(place / "4.png", np.zeros((5, 7), dtype=np.uint8)).rename(place / "5.png")
    (place / "6.png").write_text("no picture")
    view = masks.view(TRIAL, CAMERA)
    for frame, told in (
        (1, r"1.png: found 5 x 7 px; expected 7 x 5 px, the image of camera 1"),
        (2, r"2.png: found a picture of mode RGB; expected one channel of labels"),
        (3, r"3.png: found .*; expected a PNG picture that is whole"),
        (6, r"6.png: found .*cannot identify.*; expected a PNG picture"),
    ):
        with pytest.raises(MaskError, match=told):
            view.read(frame)
    assert view.read(5).shape == (5, 7)
    draw(place / "05.png", np.zeros((5, 7), dtype=np.uint8))
    with pytest.raises(MaskError, match="frame 5 twice"):
        masks.view(TRIAL, CAMERA)
    (place / "05.png").rename(place / "mask_05.png")
    with pytest.raises(MaskError, match=r"mask_05.png: found a name that is no number"):
        masks.view(TRIAL, CAMERA)
    place.with_name("1.json").write_text("[]")
    with pytest.raises(MaskError, match=r"1.json beside them; expected one of the two"):
        masks.view(TRIAL, CAMERA)


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (
            {"segmentation": {"size": [7, 5], "counts": "S1"}},
            "a mask of 5 x 7 px in frame 0; expected 7 x 5",
        ),
        (
            {"segmentation": {"size": [5, 7], "counts": [3, 4]}},
            "frame 0, label 1: the runs are 7 pixels",
        ),
        ({"segmentation": {"size": [5, 7], "counts": [40, -5]}}, "none of them negative"),
        ({"segmentation": {"size": [5, 7], "counts": "é"}}, "'é' cannot stand there"),
        ({"segmentation": {"size": [5, 7], "counts": "oooooooooooooooo"}}, "'o' cannot stand there"),
        ({"segmentation": {"size": [5, 7], "counts": "o"}}, "ends inside a number"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6]]}, "polygons are not read"),
        ({"segmentation": {"size": [5, 7], "counts": "S1"}, "category_id": 256}, "less than or equal to 255"),
    ],
)
def test_runs_that_do_not_fit_are_told(tmp_path: Path, annotation: dict[str, object], told: str) -> None:
    (tmp_path / "S1" / "Walking 1").mkdir(parents=True)
    (tmp_path / "S1" / "Walking 1" / "1.json").write_text(json.dumps([{"image_id": 0, **annotation}]))
    with pytest.raises(MaskError, match=told):
        folder(tmp_path).view(TRIAL, CAMERA).read(0)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            {"head": [1]},
            "found the parts head; expected an object with labels from 1 to 255",
        ),
        ({"head": [0], "rest": [2]}, "a label outside of 1 to 255"),
        ({"head": [], "rest": [2]}, "a part without labels"),
        (["head"], "should be an object"),
    ],
)
def test_what_labels_mean_must_be_said_of_every_part(tmp_path: Path, labels: object, told: str) -> None:
    with pytest.raises(MaskError, match=told):
        folder(tmp_path, labels)
    with pytest.raises(MaskError, match="found no folder"):
        MaskFolder.open(tmp_path / "nowhere", PARTS)
