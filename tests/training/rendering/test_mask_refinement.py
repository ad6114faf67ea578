"""Masks in crops, and poses that are moved to fit them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.rendering.scene import draw_masks
from numpy.typing import NDArray
from PIL import Image

from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.lens import px_of_points
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.storage.columns import TrialInfo
from poseshift.storage.mask_files import MaskFolder, ViewMasks
from poseshift.storage.schema import TrialKey
from poseshift.training.prediction.mask_refinement import MaskRefinement, refine_view
from poseshift.training.prediction.mask_targets import BARE, MaskClasses, crop_target
from poseshift.training.prediction.views import MIRROR_DISAGREEMENT, View
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.crop import person_crop

CAMERA = Camera("c", (200, 220), (190.0, 190.0), (100.0, 110.0))
EACH = MaskClasses({part: (1 + number,) for number, part in enumerate(PARTS)})
FAST = MaskRefinement(steps=8, size_px=24, weight=10.0)


@pytest.fixture(scope="module")
def truth(body: CapsuleBody) -> NDArray[np.float64]:
    return body.rest.double().numpy()[None] + [0.2, -0.1, 3.0]


@pytest.fixture(scope="module")
def masks(truth: NDArray[np.float64], tmp_path_factory: pytest.TempPathFactory) -> ViewMasks:
    """Part masks of the true body in frame 4 and in no other."""
    folder = tmp_path_factory.mktemp("masks")
    place = folder / "S1" / "walk" / "c"
    place.mkdir(parents=True)
    bare, _ = draw_masks(truth[0].astype(np.float32), np.ones(len(PARTS)), CAMERA, 0.0)
    Image.fromarray(bare).save(place / "4.png")
    return MaskFolder.open(folder, PARTS).view(TrialKey("S1", "walk"), CAMERA)


def view_of(joints: NDArray[np.float64], seen: NDArray[np.float64]) -> View:
    return View(
        trial=TrialInfo(TrialKey("S1", "walk"), "", "1", 50.0),
        camera=CAMERA,
        frame=np.array([3, 4], dtype=np.int32),
        relative=np.repeat(joints - joints[:, :1], 2, axis=0),
        root=np.repeat(joints[:, 0], 2, axis=0),
        rays=np.repeat(normalise(project(seen, CAMERA.intrinsics), CAMERA.intrinsics), 2, axis=0),
        missing=np.zeros((2, 17), dtype=bool),
        error_m=np.zeros((2, 17)),
        error_kind=MIRROR_DISAGREEMENT,
    )


def test_a_lost_arm_is_found_by_its_mask_and_frames_without_a_mask_stay(
    truth: NDArray[np.float64], masks: ViewMasks
) -> None:
    """The keypoint of a wrist was not seen and its answer hangs elsewhere: the mask says where it is."""
    answer = truth.copy()
    answer[0, 16] += [0.14, 0.1, 0.0]
    view = view_of(answer, truth)
    view = replace(view, missing=view.missing | (np.arange(17) == 16))
    without = refine_view(view, masks, EACH, HUMAN36M_17, FAST.model_copy(update={"weight": 0.0}))
    fitted = refine_view(view, masks, EACH, HUMAN36M_17, FAST)
    for refined in (without, fitted):
        assert refined.frames == 1
        np.testing.assert_array_equal(refined.view.relative[0], view.relative[0])
        np.testing.assert_array_equal(refined.view.root[0], view.root[0])

    def error(one: View) -> float:
        return float(np.linalg.norm((one.relative[1, 16] + one.root[1]) - truth[0, 16]))

    assert error(view) > 0.17
    assert error(without.view) > 0.15
    assert error(fitted.view) < 0.7 * error(view)
    assert fitted.view.relative[1, 0] == pytest.approx([0, 0, 0])
    assert set(fitted.girths) == set(PARTS)


@pytest.mark.parametrize("model", ["none", "opencv"])
def test_a_target_is_what_the_mask_shows_through_the_lens(truth: NDArray[np.float64], model: str) -> None:
    """A mask whose border runs down through a joint does so in the crop."""
    lens = Distortion("opencv", (-0.25, 0.08, 0.0), (0.002, -0.001)) if model == "opencv" else Distortion()
    camera = replace(
        CAMERA, distortion=lens, size_px=(2000, 2200), focal_px=(1900.0, 1900.0), centre_px=(1000.0, 1100.0)
    )
    seen = px_of_points(truth, camera)
    crop = person_crop(torch.as_tensor(truth[..., :2] / truth[..., 2:]), 64)
    pixels = crop.project(torch.as_tensor(truth))[0][0].numpy()
    for joint in (3, 6, 10, 16):
        mask = np.zeros((2200, 2000), dtype=np.uint8)
        mask[:, int(seen[0, joint, 0]) :] = 1
        target = crop_target(mask, crop, camera, MaskClasses(None))
        torch.testing.assert_close(target.sum(dim=0), torch.ones(64, 64))
        column, row = pixels[joint]
        border = 64 - float(target[1, int(row)].sum())
        assert border == pytest.approx(column, abs=0.5)


def test_classes_are_those_of_the_labels() -> None:
    labels = dict.fromkeys(PARTS, (7,)) | {"head": (2, 4), "left_lower_arm": (7, 9)}
    classes = MaskClasses(labels)
    assert classes.values == (2, 4, 7, 9)
    assert classes.of_parts[PARTS.index("head")].tolist() == [0.5, 0.5, 0, 0]
    assert classes.of_parts[PARTS.index("left_lower_arm")].tolist() == [0, 0, 0.5, 0.5]
    shares = classes.share(np.array([0, 2, 7, 5], dtype=np.uint8))
    assert shares.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]]
    assert MaskClasses(None).share(np.array([0, 255], dtype=np.uint8)).tolist() == [[1, 0], [0, 1]]
    assert "torso" not in BARE
