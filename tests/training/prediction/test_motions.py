"""From lifted views to motions, where the lifter is right: everything must come out where it is."""

from dataclasses import replace

import numpy as np
import pytest

from poseshift.geometry.camera import Camera
from poseshift.geometry.projection import camera_to_world, normalise, project, world_to_camera
from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.preprocessing.human36m.calibration import builtin_calibration
from poseshift.preprocessing.motion.procedural import generate
from poseshift.storage.columns import TrialInfo
from poseshift.storage.schema import TrialKey
from poseshift.training.prediction.body_height import body_height
from poseshift.training.prediction.fusion import FUSED, fuse, rigs, root_of_rays
from poseshift.training.prediction.motions import Made, Maker
from poseshift.training.prediction.smoothing import NoSmoothing
from poseshift.training.prediction.views import MIRROR_DISAGREEMENT, View

CAMERAS = builtin_calibration().cameras["S1"]


@pytest.fixture(scope="module")
def world() -> np.ndarray:
    """A person who moves about between the four cameras, (25, 17, 3) metres, z up."""
    return generate(seed=3, clips_per_subject=1, frames_per_clip=25)[0].positions.astype(np.float64)


def view_of(world: np.ndarray, camera: Camera, noise_px: float = 0.0, scale: float = 1.0) -> View:
    """What a lifter says that is right but for the size of the body."""
    absolute = world_to_camera(world, np.asarray(camera.rotation), np.asarray(camera.translation))
    pixels = project(absolute, camera.intrinsics)
    pixels = pixels + np.random.default_rng(0).normal(scale=noise_px, size=pixels.shape)
    return View(
        trial=TrialInfo(TrialKey("S1", "Walking"), "Walking", "1", 50.0),
        camera=camera,
        frame=np.arange(len(world), dtype=np.int32),
        relative=scale * (absolute - absolute[:, :1]),
        root=scale * absolute[:, 0],
        rays=normalise(pixels, camera.intrinsics),
        missing=np.zeros(world.shape[:2], dtype=bool),
        error_m=np.full(world.shape[:2], 0.01),
        error_kind=MIRROR_DISAGREEMENT,
    )


def made_of(*views: View, **heights_m: float) -> list[Made]:
    return list(Maker(HUMAN36M_17, NoSmoothing(), heights_m).make(views))


def on_floor(world: np.ndarray) -> np.ndarray:
    lowest = np.minimum(world[:, 3, 2], world[:, 6, 2])
    return world - [0, 0, np.percentile(lowest, 2)]


def test_a_placed_camera_gives_the_world_on_its_floor(world: np.ndarray) -> None:
    (made,) = made_of(view_of(world, CAMERAS[0]))
    assert made.motion.axes == "world"
    np.testing.assert_allclose(made.motion.positions, on_floor(world), atol=1e-5)
    assert made.motion.to_camera is not None
    back = world_to_camera(made.motion.positions.astype(np.float64), *made.motion.to_camera)
    expected = world_to_camera(world, np.asarray(CAMERAS[0].rotation), np.asarray(CAMERAS[0].translation))
    np.testing.assert_allclose(back, expected, atol=1e-5)


def test_a_camera_without_extrinsics_gives_camera_axes(world: np.ndarray) -> None:
    view = view_of(world, CAMERAS[0])
    unplaced = replace(CAMERAS[0], rotation=Camera.rotation, translation=Camera.translation)
    (made,) = made_of(replace(view, camera=unplaced))
    assert (made.motion.axes, made.floor_m) == ("camera", None)
    np.testing.assert_allclose(made.motion.positions, view.relative + view.root[:, None], atol=1e-5)


def test_cameras_mend_the_size_without_a_height(world: np.ndarray) -> None:
    views = [view_of(world, camera, noise_px=4.0, scale=0.85) for camera in CAMERAS]
    single, *_, fused = Maker(HUMAN36M_17, NoSmoothing(), {}, "cameras").make(views)
    assert single.size.factor == pytest.approx(1 / 0.85, rel=1e-6)
    assert single.size.frames == len(world)
    np.testing.assert_allclose(single.motion.positions, on_floor(world), atol=1e-5)
    wrong = [replace(view, root=view.root * [1, 1, 1 + 0.02 * (-1) ** n]) for n, view in enumerate(views)]
    (found, *_) = Maker(HUMAN36M_17, NoSmoothing(), {}, "cameras").make(wrong)
    assert found.size.factor == pytest.approx(1 / 0.85, rel=0.02)
    assert fused.size.factor == single.size.factor


def test_one_camera_or_hidden_people_say_nothing_of_the_size(world: np.ndarray) -> None:
    views = [view_of(world, camera, scale=0.85) for camera in CAMERAS[:2]]
    (alone,) = Maker(HUMAN36M_17, NoSmoothing(), {}, "cameras").make(views[:1])
    assert (alone.size.factor, alone.size.frames) == (1.0, 0)
    hidden = views[1].missing.copy()
    hidden[5:, 3:] = True
    half, *_ = Maker(HUMAN36M_17, NoSmoothing(), {}, "cameras").make(
        [views[0], replace(views[1], missing=hidden)]
    )
    assert half.size.frames == 5
    given, *_ = Maker(HUMAN36M_17, NoSmoothing(), {"S1": 1.8}, "cameras").make(views)
    assert given.size.measured is not None


def test_a_height_mends_the_size_of_pose_and_root(world: np.ndarray) -> None:
    true = body_height(world - world[:, :1], HUMAN36M_17).metres
    (made,) = made_of(view_of(world, CAMERAS[1], scale=0.8), S1=true)
    assert made.size.factor == pytest.approx(1 / 0.8)
    np.testing.assert_allclose(made.motion.positions, on_floor(world), atol=1e-5)
    np.testing.assert_allclose(made.motion.error_m, 0.0125)


def test_a_height_of_nobody_is_refused(world: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a height is given for S7, but the people are S1"):
        made_of(view_of(world, CAMERAS[0]), S7=1.7)


def test_heights_are_measured_on_upright_frames() -> None:
    names = HUMAN36M_17.joint_names
    pose = np.zeros((1, 17, 3))
    for name, height in {
        "pelvis": 0.95,
        "spine": 1.2,
        "thorax": 1.45,
        "nose": 1.58,
        "head": 1.72,
        **{
            f"{side}_{joint}": z
            for side in ("left", "right")
            for joint, z in (("hip", 0.95), ("knee", 0.5), ("ankle", 0.07))
        },
    }.items():
        pose[0, names.index(name), 2] = height
    # A head 1.65 m above the ankles; the share below them is Winter's 0.039 of the height.
    found = body_height(pose, HUMAN36M_17)
    assert found.metres == pytest.approx(1.65 / 0.961)
    bent = pose.copy()
    bent[:, names.index("left_knee"), 1] = bent[:, names.index("right_knee"), 1] = 0.4
    both = body_height(np.concatenate([pose, bent, bent]), HUMAN36M_17)
    assert (both.frames, both.upright) == (1, True)
    assert both.metres == pytest.approx(found.metres)
    assert not body_height(bent, HUMAN36M_17).upright


def test_several_cameras_are_fused_to_the_truth(world: np.ndarray) -> None:
    made = made_of(*(view_of(world, camera) for camera in CAMERAS))
    assert [one.motion.camera for one in made] == [*(camera.name for camera in CAMERAS), FUSED]
    np.testing.assert_allclose(made[-1].motion.positions, on_floor(world), atol=1e-5)
    np.testing.assert_allclose(made[-1].motion.error_m, 0, atol=1e-6)


def test_a_fused_root_is_in_the_metres_of_the_calibration(world: np.ndarray) -> None:
    """Bodies of another size and noisy keypoints move it little; one camera alone is off by the share."""
    views = [view_of(world, camera, noise_px=5.0, scale=0.9) for camera in CAMERAS]
    fused = fuse(views)
    assert np.linalg.norm(fused.root - world[:, 0], axis=-1).max() < 0.06
    alone = camera_to_world(
        views[0].root, np.asarray(CAMERAS[0].rotation), np.asarray(CAMERAS[0].translation)
    )
    assert np.linalg.norm(alone - world[:, 0], axis=-1).min() > 0.3


def test_one_camera_that_is_wrong_does_not_move_the_median(world: np.ndarray) -> None:
    views = [view_of(world, camera) for camera in CAMERAS]
    views[2] = replace(views[2], relative=views[2].relative + np.r_[[[0, 0, 0]], np.full((16, 3), 0.5)])
    fused = fuse(views)
    np.testing.assert_allclose(fused.relative, world - world[:, :1], atol=1e-6)


def test_a_camera_that_saw_nothing_does_not_count(world: np.ndarray) -> None:
    views = [view_of(world, camera) for camera in CAMERAS]
    blind = replace(
        views[1], rays=views[1].rays + 0.3, relative=-views[1].relative, missing=np.ones((25, 17), dtype=bool)
    )
    fused = fuse([views[0], blind, *views[2:]])
    np.testing.assert_allclose(fused.relative, world - world[:, :1], atol=1e-6)
    np.testing.assert_allclose(fused.root, world[:, 0], atol=1e-6)
    assert not fused.missing.any()


def test_only_cameras_of_one_trial_and_the_same_frames_are_fused(world: np.ndarray) -> None:
    first, second, third = (view_of(world, camera) for camera in CAMERAS[:3])
    other = replace(second, trial=replace(second.trial, key=TrialKey("S1", "Other")))
    later = replace(third, frame=third.frame + 1)
    assert rigs([first, other]) == ()
    assert rigs([first, later]) == ()
    assert rigs([first, second]) == ((first, second),)
    nowhere = [
        replace(one, camera=replace(one.camera, translation=(0.0, 0.0, 0.0))) for one in (first, second)
    ]
    assert rigs(nowhere) == (), "of these it is known how they are held, not where they stand"
    named = replace(second, camera=replace(second.camera, name=FUSED))
    with pytest.raises(ValueError, match="rename the camera"):
        rigs([first, named])


def test_the_root_of_two_rays_is_where_they_meet() -> None:
    """Two cameras on the x axis, one metre to each side, that look at the point (0, 3, 1)."""
    centres = np.array([[-1.0, 0, 1], [1.0, 0, 1]])
    directions = (np.array([0.0, 3, 1]) - centres)[:, None, None]
    found = root_of_rays(np.zeros((1, 1, 3)), directions, centres, np.ones((2, 1, 1)))
    np.testing.assert_allclose(found, [[0, 3, 1]], atol=1e-9)
