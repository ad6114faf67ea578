"""What is done to a network's output: rays, noise, size, missing keypoints, and the same in the loss."""

import math

import pytest
import torch
from pydantic import TypeAdapter

from poseshift.geometry.alignment import root_from_keypoints
from poseshift.geometry.projection import normalise, project
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses
from poseshift.training.answer import Answer, Rays, RaysBlend, RaysOff, RaysSnap, on_rays
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.losses import loss
from poseshift.training.step_loss import batch_loss

BODY = skeleton("human36m_17")


@pytest.fixture
def batch(poses: CameraPoses) -> Batch:
    return DevicePoses.from_columns(poses, "cpu", frames=3).batch(torch.arange(0, len(poses), 4))


def disturbed(batch: Batch, scale: float = 0.05) -> torch.Tensor:
    noise = torch.randn(batch.positions_camera.shape, generator=torch.Generator().manual_seed(2))
    noise[..., BODY.root, :] = 0
    return batch.root_relative(BODY) + scale * noise


def error_mm(relative: torch.Tensor, batch: Batch) -> float:
    return 1000 * float((relative - batch.root_relative(BODY)).norm(dim=-1).mean())


def test_the_truth_stays_the_truth(batch: Batch) -> None:
    for rays in (RaysOff(), RaysSnap(), RaysBlend()):
        answer = Answer(rays=rays).refine(
            batch.root_relative(BODY), batch.keypoints_px, batch.intrinsics, BODY
        )
        assert error_mm(answer, batch) < 0.1


def test_exact_rays_leave_little_but_the_error_in_depth(batch: Batch) -> None:
    relative = disturbed(batch)
    snapped = on_rays(RaysSnap(), relative, batch.keypoints_px, batch.intrinsics, BODY.root)
    assert error_mm(snapped, batch) < 0.75 * error_mm(relative, batch)
    root = batch.positions_camera[..., BODY.root, :]
    # Up to the scale that goes with the root's depth, the answer projects onto the keypoints.
    seen = normalise(batch.keypoints_px, batch.intrinsics)
    depth = (snapped + root[..., None, :])[..., 2]
    assert float((snapped[..., 2] - relative[..., 2]).abs().max()) < 1e-5
    assert float(((snapped[..., :2] + root[..., None, :2]) / depth[..., None] - seen).abs().mean()) < 0.01


def test_noisy_keypoints_are_trusted_less_than_exact_ones(batch: Batch) -> None:
    relative = disturbed(batch, 0.03)
    noise = torch.randn(batch.keypoints_px.shape, generator=torch.Generator().manual_seed(3))
    keypoints = batch.keypoints_px + 25 * noise
    seen = (relative, keypoints, batch.intrinsics, BODY.root)
    blended = error_mm(on_rays(RaysBlend(noise_px=25.0, error_m=0.03), *seen), batch)
    assert blended < error_mm(on_rays(RaysSnap(), *seen), batch)
    assert blended < error_mm(relative, batch) + 1
    exact = on_rays(RaysBlend(noise_px=0.0), *seen)
    torch.testing.assert_close(exact, on_rays(RaysSnap(), *seen))


def test_missing_keypoints_leave_their_joints_and_too_few_leave_the_pose(batch: Batch) -> None:
    relative, keypoints = disturbed(batch), batch.keypoints_px.clone()
    keypoints[:, :, 13] = math.nan
    keypoints[0] = math.nan
    answer = on_rays(RaysSnap(), relative, keypoints, batch.intrinsics, BODY.root)
    assert bool(answer.isfinite().all())
    torch.testing.assert_close(answer[0], relative[0])
    whole = on_rays(RaysSnap(), relative, batch.keypoints_px, batch.intrinsics, BODY.root)
    others = [joint for joint in range(17) if joint != 13]
    assert float((answer - whole)[1:, :, others].norm(dim=-1).mean()) < 0.01


def test_giants_are_made_as_small_as_the_largest_body_that_was_learned(batch: Batch) -> None:
    relative = batch.root_relative(BODY)
    bones = [
        (relative[..., child, :] - relative[..., parent, :]).norm(dim=-1) for parent, child in BODY.bones
    ]
    largest = float(torch.stack(bones, dim=-1).sum(dim=-1).max())
    answer = Answer(largest_body_m=largest)
    seen = (batch.keypoints_px, batch.intrinsics, BODY)
    torch.testing.assert_close(answer.refine(relative, *seen), relative)
    bounded = answer.refine(2.4 * relative, *seen)
    assert float((bounded.norm(dim=-1) / relative.norm(dim=-1).clamp(min=1e-6)).amax()) < 1.25


def test_a_recipe_names_rays_in_one_word_or_with_options() -> None:
    adapter = TypeAdapter[Rays](Rays)
    assert adapter.validate_python("snap") == RaysSnap()
    assert adapter.validate_python({"kind": "blend", "noise_px": 2.0}) == RaysBlend(noise_px=2.0)
    assert adapter.validate_python("off") == RaysOff()


class Repeats(Lifter):
    """Answers with its one weight times a given pose."""

    def __init__(self, pose: torch.Tensor, channels: int) -> None:
        super().__init__(frames=3, channels=channels, skeleton="human36m_17", output="all")
        self.pose = pose
        self.weight = torch.nn.Parameter(torch.ones(()))

    def lift(self, keypoints: torch.Tensor) -> torch.Tensor:
        return self.weight * self.pose


@pytest.mark.parametrize("encoded", ["screen", "perspective"])
def test_rays_in_the_loss_measure_the_pose_on_its_rays(batch: Batch, encoded: str) -> None:
    chosen = encoding(encoded)
    relative = disturbed(batch)
    inputs = chosen.encode(batch.keypoints_px, batch.intrinsics)
    lifter = Repeats(chosen.to_target_frame(relative, inputs), chosen.channels)
    plain = batch_loss(lifter, chosen, batch, loss("mpjpe"))
    assert 1000 * plain.item() == pytest.approx(error_mm(relative, batch), rel=1e-3)
    unasked = batch_loss(lifter, chosen, batch, loss("mpjpe"), rays=RaysSnap())
    assert unasked.item() == plain.item()
    asked = batch_loss(lifter, chosen, batch, loss("mpjpe"), rays=RaysSnap(in_loss=True))
    snapped = on_rays(RaysSnap(), relative, batch.keypoints_px, batch.intrinsics, BODY.root)
    both = (error_mm(snapped, batch) + error_mm(relative, batch)) / 2
    assert 1000 * asked.item() == pytest.approx(both, rel=1e-3)
    asked.backward()
    assert lifter.weight.grad is not None
    assert bool(lifter.weight.grad.isfinite())


def test_projections_of_an_answer_on_rays_are_the_keypoints(batch: Batch) -> None:
    relative = disturbed(batch)
    snapped = on_rays(RaysSnap(), relative, batch.keypoints_px, batch.intrinsics, BODY.root)
    rays = normalise(batch.keypoints_px, batch.intrinsics)
    root = root_from_keypoints(snapped, rays, torch.ones_like(rays[..., 0]))
    again = project(
        (snapped + root[..., None, :]).double(), batch.intrinsics.map(lambda field: field.double())
    )
    assert float((again - batch.keypoints_px).norm(dim=-1).max()) < 0.1


def test_keypoints_that_are_far_from_the_answer_are_not_believed(batch: Batch) -> None:
    relative, keypoints = disturbed(batch, 0.02), batch.keypoints_px.clone()
    keypoints[:, :, 13] += 250.0  # an elbow elsewhere
    keypoints[::2] = keypoints[::2, :, list(BODY.mirrored)]
    seen = (relative, keypoints, batch.intrinsics, BODY.root)
    believed = error_mm(on_rays(RaysBlend(), *seen), batch)
    careful = on_rays(RaysBlend(farthest=2.5), *seen)
    assert error_mm(careful, batch) < 0.7 * believed
    torch.testing.assert_close(careful[:, :, 13], relative[:, :, 13], atol=0.02, rtol=0)
    near = (relative, batch.keypoints_px, batch.intrinsics, BODY.root)
    torch.testing.assert_close(on_rays(RaysBlend(farthest=50.0), *near), on_rays(RaysBlend(), *near))


def test_a_pose_whose_keypoints_are_all_far_stays_as_the_network_gave_it(batch: Batch) -> None:
    relative = disturbed(batch, 0.02)
    anywhere = 1000 * torch.rand(batch.keypoints_px.shape, generator=torch.Generator().manual_seed(1))
    answer = on_rays(RaysBlend(farthest=0.01), relative, anywhere, batch.intrinsics, BODY.root)
    torch.testing.assert_close(answer, relative, atol=1e-5, rtol=0)


def test_a_keypoint_counts_as_its_confidence_says(batch: Batch) -> None:
    relative, keypoints = disturbed(batch, 0.02), batch.keypoints_px.clone()
    keypoints[:, :, 13] += 250.0  # an elbow elsewhere, and the detector says so
    sure = torch.ones(keypoints.shape[:-1])
    sure[:, :, 13] = 0.05
    seen = (relative, keypoints, batch.intrinsics, BODY.root)
    weighted = on_rays(RaysBlend(confidence_power=1.0), *seen, sure)
    assert error_mm(weighted, batch) < 0.7 * error_mm(on_rays(RaysBlend(), *seen, sure), batch)
    torch.testing.assert_close(on_rays(RaysBlend(confidence_power=1.0), *seen), on_rays(RaysBlend(), *seen))


def test_a_keypoint_of_no_confidence_is_one_that_was_not_seen(batch: Batch) -> None:
    relative, sure = disturbed(batch, 0.02), torch.ones(batch.keypoints_px.shape[:-1])
    sure[:, :, 13] = 0
    unseen = batch.keypoints_px.clone()
    unseen[:, :, 13] = math.nan
    rays, camera = RaysBlend(confidence_power=1.0), (batch.intrinsics, BODY.root)
    torch.testing.assert_close(
        on_rays(rays, relative, batch.keypoints_px, *camera, sure), on_rays(rays, relative, unseen, *camera)
    )


def test_half_the_confidence_is_twice_the_variance(batch: Batch) -> None:
    seen = (disturbed(batch, 0.02), batch.keypoints_px, batch.intrinsics, BODY.root)
    half = torch.full(batch.keypoints_px.shape[:-1], 0.5)
    torch.testing.assert_close(
        on_rays(RaysBlend(noise_px=4.0, confidence_power=1.0), *seen, half),
        on_rays(RaysBlend(noise_px=4.0 * math.sqrt(2)), *seen),
        atol=1e-5,
        rtol=0,
    )


def test_the_farthest_keypoint_is_written_only_where_it_is_stated() -> None:
    assert RaysBlend().model_dump() == {"kind": "blend", "in_loss": False, "noise_px": 4.0, "error_m": 0.04}
    assert RaysBlend(farthest=3.0).model_dump()["farthest"] == 3.0
    assert RaysBlend(confidence_power=1.0).model_dump()["confidence_power"] == 1.0
