import dataclasses

import numpy as np
import pytest
import torch

from poseshift.geometry.intrinsics import Intrinsics
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import KnownEncoding, PerspectiveEncoding, encoding
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.losses import loss
from poseshift.training.step_loss import batch_loss

BODY = skeleton("human36m_17")
NAMES = ("screen", "ray", "perspective", "perspective_per_frame", "perspective_and_known")


@pytest.fixture
def batch(poses):
    source = DevicePoses.from_columns(poses, "cpu", frames=3)
    return source.batch(torch.arange(0, len(source), 7))


def test_screen_is_videopose3ds_formula() -> None:
    """x / w * 2 - [1, h / w], for the middle, the corner and a point between."""
    keypoints = torch.tensor([[500.0, 501.0], [1000.0, 1002.0], [250.0, 0.0]]).reshape(1, 1, 3, 2)
    intrinsics = Intrinsics(
        focal_px=torch.ones(1, 2),
        centre_px=torch.zeros(1, 2),
        size_px=torch.tensor([[1000.0, 1002.0]]),
        radial=torch.zeros(1, 3),
        tangential=torch.zeros(1, 2),
    )
    out = encoding("screen").encode(keypoints, intrinsics).inputs
    torch.testing.assert_close(out[0, 0], torch.tensor([[0.0, 0.0], [1.0, 1.002], [-0.5, -1.002]]))


def test_ray_is_x_over_z_whatever_the_camera(batch) -> None:
    rays = encoding("ray").encode(batch.keypoints_px, batch.intrinsics).inputs
    truth = batch.positions_camera[..., :2] / batch.positions_camera[..., 2:]
    torch.testing.assert_close(rays, truth, atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_targets_survive_the_way_there_and_back(name, batch) -> None:
    chosen = encoding(name)
    encoded = chosen.encode(batch.keypoints_px, batch.intrinsics, torch.Generator().manual_seed(0))
    assert encoded.inputs.shape == (len(batch), 3, 17, chosen.channels)
    relative = batch.root_relative(BODY)
    there = chosen.to_target_frame(relative, encoded)
    torch.testing.assert_close(chosen.from_target_frame(there, encoded), relative, atol=1e-6, rtol=0)
    torch.testing.assert_close(there.norm(dim=-1), relative.norm(dim=-1), atol=1e-6, rtol=0)


def test_perspective_input_is_the_projection_of_its_target(batch) -> None:
    """Inputs times h are the rays of the turned absolute pose: one camera turn for input and target."""
    chosen = PerspectiveEncoding()
    encoded = chosen.encode(batch.keypoints_px, batch.intrinsics)
    turned = torch.einsum("bij,bfkj->bfki", encoded.rotation, batch.positions_camera)
    h = encoded.inputs[..., 2:].exp()
    torch.testing.assert_close(
        encoded.inputs[..., :2] * h, turned[..., :2] / turned[..., 2:], atol=1e-5, rtol=0
    )
    assert encoded.inputs[..., :2].abs().amax(dim=(1, 2, 3)).allclose(torch.ones(len(batch)))


@pytest.mark.parametrize("jittered", [False, True])
def test_perspective_per_frame_is_perspective_of_every_frame_alone(batch, jittered) -> None:
    def drawn() -> torch.Generator | None:
        return torch.Generator().manual_seed(3) if jittered else None

    of_clips = encoding("perspective_per_frame").encode(batch.keypoints_px, batch.intrinsics, drawn())
    for frame in range(3):
        alone = encoding("perspective").encode(
            batch.keypoints_px[:, frame : frame + 1], batch.intrinsics, drawn()
        )
        torch.testing.assert_close(of_clips.inputs[:, frame], alone.inputs[:, 0])
        torch.testing.assert_close(of_clips.rotation[:, frame], alone.rotation)


def test_one_answer_for_a_clip_is_turned_as_its_middle_frame(batch) -> None:
    chosen = encoding("perspective_per_frame")
    encoded = chosen.encode(batch.keypoints_px, batch.intrinsics)
    relative = batch.root_relative(BODY)
    whole = chosen.to_target_frame(relative, encoded)
    middle = chosen.to_target_frame(relative[:, 1:2], encoded)
    torch.testing.assert_close(middle, whole[:, 1:2])
    torch.testing.assert_close(chosen.from_target_frame(middle, encoded), relative[:, 1:2])


def test_velocities_are_compared_in_the_cameras_axes(batch) -> None:
    """A lifter that answers the truth in every frame's own axes has no error of velocity."""
    chosen, truth = encoding("perspective_per_frame"), batch.root_relative(BODY)
    encoded = chosen.encode(batch.keypoints_px, batch.intrinsics)

    class Knowing(Lifter):
        def lift(self, keypoints):
            return chosen.to_target_frame(truth, encoded)

    lifter = Knowing(frames=3, output="all", channels=3, skeleton="human36m_17")
    smoothness = loss("mixste-3")(truth, truth)
    found = batch_loss(lifter, chosen, batch, loss("mixste-3"))
    torch.testing.assert_close(found, smoothness, atol=1e-5, rtol=0)
    in_own_axes = loss("mixste-3")(lifter(encoded.inputs), truth)
    assert float(in_own_axes - smoothness) > 0.01


def test_perspective_does_not_see_where_a_person_stands_nor_the_camera(poses) -> None:
    """The same body, turned with the viewing ray and at the same distance, gives the same input."""
    rng = np.random.default_rng(0)
    source = DevicePoses.from_columns(poses, "cpu", frames=1)
    body = torch.tensor(rng.normal(scale=0.03, size=(1, 1, 17, 3)))
    straight = body + torch.tensor([0.0, 0.0, 4.5])
    chosen = PerspectiveEncoding()

    def intrinsics(row: int) -> Intrinsics:
        return source.intrinsics[torch.tensor([row])].map(lambda field: field.double())

    # the centre of the box is fixed by turning, so turn about it: centre the body's box on the axis first
    first = chosen.encode(project(straight, intrinsics(1)), intrinsics(1))
    centred = torch.einsum("bij,bfkj->bfki", first.rotation, straight)
    axis_seen = chosen.encode(project(centred, intrinsics(1)), intrinsics(1))
    through_other_lens = chosen.encode(project(centred, intrinsics(0)), intrinsics(0))
    torch.testing.assert_close(through_other_lens.inputs, axis_seen.inputs, atol=1e-6, rtol=0)
    c, s = np.cos(0.2), np.sin(0.2)
    aside = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    moved = torch.einsum("ij,bfkj->bfki", aside, centred)
    seen = chosen.encode(project(moved, intrinsics(1)), intrinsics(1))
    # not exactly equal: the box's centre is only nearly the same point of the body from the side
    torch.testing.assert_close(seen.inputs, axis_seen.inputs, atol=0.01, rtol=0)
    rays = encoding("ray")
    ray_change = rays.encode(project(moved, intrinsics(1)), intrinsics(1)).inputs
    ray_change = ray_change - rays.encode(project(centred, intrinsics(1)), intrinsics(1)).inputs
    assert ray_change[..., 0].abs().min() > 0.1


def test_jitter_is_drawn_from_the_generator_and_only_in_training(batch) -> None:
    chosen = encoding("perspective")
    plain = chosen.encode(batch.keypoints_px, batch.intrinsics).inputs
    again = chosen.encode(batch.keypoints_px, batch.intrinsics).inputs
    assert torch.equal(plain, again)
    drawn = [
        chosen.encode(batch.keypoints_px, batch.intrinsics, torch.Generator().manual_seed(seed)).inputs
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], plain)
    steady = PerspectiveEncoding(jitter=0.0)
    assert torch.equal(steady.encode(batch.keypoints_px, batch.intrinsics, torch.Generator()).inputs, plain)


def test_unknown_encoding_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="screen, ray, perspective"):
        encoding("pixels")


SEEN = ("screen_and_seen", "ray_and_seen", "perspective_and_seen")


@pytest.mark.parametrize("name", SEEN)
def test_what_was_seen_is_encoded_as_without_the_channel(name, batch) -> None:
    told, plain = encoding(name), encoding(name.removesuffix("_and_seen"))
    assert told.channels == plain.channels + 1
    out = told.encode(batch.keypoints_px, batch.intrinsics)
    torch.testing.assert_close(
        out.inputs[..., :-1], plain.encode(batch.keypoints_px, batch.intrinsics).inputs
    )
    assert bool((out.inputs[..., -1] == 1).all())


@pytest.mark.parametrize("name", SEEN)
def test_a_joint_inside_that_is_not_seen_moves_no_other(name, batch) -> None:
    told = encoding(name)
    clip = batch.keypoints_px[:1, :1].clone()
    low, high = clip.amin(dim=2), clip.amax(dim=2)
    clip[:, :, 8] = (low + high) / 2 + 1.0
    hidden = clip.clone()
    hidden[:, :, 8] = torch.nan
    whole = told.encode(clip, batch.intrinsics[:1]).inputs
    gaps = told.encode(hidden, batch.intrinsics[:1]).inputs
    others = [joint for joint in range(17) if joint != 8]
    torch.testing.assert_close(gaps[:, :, others], whole[:, :, others])
    assert bool(gaps.isfinite().all())
    assert gaps[0, 0, 8, -1] == 0


@pytest.mark.parametrize("name", SEEN)
def test_nobody_in_a_frame_or_in_a_clip_is_still_encoded(name, batch) -> None:
    told = encoding(name)
    clips = batch.keypoints_px[:2].clone()
    clips[0, 0] = torch.nan
    clips[1] = torch.nan
    clips[1, :, 0] = 500.0  # a box without a size would be divided by
    clips[1, :, 1] = 510.0
    out = told.encode(clips, batch.intrinsics[:2]).inputs
    assert bool(out.isfinite().all())
    assert bool((out[0, 0, :, -1] == 0).all())


def test_hidden_intrinsics_change_nothing_and_known_ones_are_those_of_perspective(batch) -> None:
    chosen, plain = encoding("perspective_and_known"), encoding("perspective")
    assert isinstance(chosen, KnownEncoding)
    known = chosen.encode(batch.keypoints_px, batch.intrinsics)
    expected = plain.encode(batch.keypoints_px, batch.intrinsics)
    assert torch.equal(known.inputs[..., :3], expected.inputs)
    assert (known.inputs[..., 3] == 1).all()

    unknown = torch.zeros(len(batch), 1)
    first = dataclasses.replace(batch.intrinsics, known=unknown)
    other = dataclasses.replace(
        first,
        focal_px=batch.intrinsics.focal_px * 2,
        centre_px=batch.intrinsics.centre_px + 50,
        radial=batch.intrinsics.radial + 0.1,
    )
    one, two = (chosen.encode(batch.keypoints_px, camera) for camera in (first, other))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.rotation, two.rotation)
    assert (one.inputs[..., 2:] == 0).all()
    # a lens of 50 mm before 36 mm of film: f = 50 / 36 of the width, as the rays of a clip by hand
    width = batch.intrinsics.size_px[:, None, None, :1]
    rays = (batch.keypoints_px - batch.intrinsics.size_px[:, None, None] / 2) / (width * 50 / 36)
    seen = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1)
    turned = torch.einsum("bij,bfkj->bfki", one.rotation, seen)
    turned = turned[..., :2] / turned[..., 2:]
    h = turned.abs().amax(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(one.inputs[..., :2], turned / h, atol=1e-4, rtol=0)


def test_training_hides_the_intrinsics_of_some_clips(batch) -> None:
    generator = torch.Generator().manual_seed(0)
    many = [encoding("perspective_and_known").encode(batch.keypoints_px, batch.intrinsics, generator)]
    many += [encoding("perspective_and_known").encode(batch.keypoints_px, batch.intrinsics, generator)]
    told = torch.cat([one.inputs[..., 3] for one in many])
    assert (told == told[:, :1, :1]).all()  # a clip is hidden as a whole
    assert 0.2 < told[:, 0, 0].mean() < 0.8


def test_training_never_shows_intrinsics_that_are_assumed(batch) -> None:
    known = torch.zeros(len(batch), 1)
    known[::2] = 1
    intrinsics = dataclasses.replace(batch.intrinsics, known=known)
    generator = torch.Generator().manual_seed(0)
    draws = [encoding("perspective_and_known").encode(batch.keypoints_px, intrinsics, generator)]
    draws += [encoding("perspective_and_known").encode(batch.keypoints_px, intrinsics, generator)]
    told = torch.stack([one.inputs[:, 0, 0, 3] for one in draws])
    assert (told[:, 1::2] == 0).all()
    assert 0.2 < told[:, ::2].mean() < 0.8
