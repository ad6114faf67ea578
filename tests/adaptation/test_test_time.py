"""Test-time optimisation: the published update restated, its root by finite differences, when it stops."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from poseshift.adaptation.projection import Target, both_sides
from poseshift.adaptation.test_time import PUBLISHED, TestTimeOptimisation, optimise, predict_optimised
from poseshift.geometry.camera import Camera, Distortion
from poseshift.geometry.projection import project
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.columns import CameraPoses, TrialInfo
from poseshift.storage.pose_runs import PoseRun, columns_of
from poseshift.storage.schema import TrialKey
from poseshift.training.batches import Batch, DevicePoses
from poseshift.training.checkpoint import LearnedScale, TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.scaled import predict_scaled
from poseshift.training.lifters.gumlp import GUMLPConfig
from poseshift.training.lifters.lifter import Scaled
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.lifters.with_scale import WithScaleConfig

BODY = skeleton("human36m_17")
CAMERA = Camera(
    name="c",
    size_px=(1000, 1002),
    focal_px=(1145.0, 1143.8),
    centre_px=(512.5, 515.5),
    distortion=Distortion("human36m", (-0.2, 0.24, -0.002), (-0.0009, -0.0014)),
)
TINY = GUMLPConfig(width=8, embedding=8, blocks=1)
CLIPS = WithScaleConfig(of=VideoPose3DConfig(filter_widths=(3,), width=8, dropout=0.0), hidden=8)
LSQ = TestTimeOptimisation()


def made(config, seen="screen") -> TrainedLifter:
    """A lifter that has learned nothing, with answers of the size of a person and scales that differ."""
    chosen = encoding(seen)
    lifter = build(config, chosen.channels, seed=1).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in lifter.named_parameters():
            if name.split(".")[-2:-1] in (["out"], ["head"], ["4"]):
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return TrainedLifter(lifter, chosen, config, {}, scale=LearnedScale())


@pytest.fixture(scope="module")
def poses() -> CameraPoses:
    rng = np.random.default_rng(0)
    points = 0.3 * rng.normal(size=(12, 17, 3)) + rng.uniform([-0.5, -0.3, 4], [0.5, 0.3, 6], size=(12, 1, 3))
    run = PoseRun(
        info=TrialInfo(TrialKey("S1", "t"), "", "1", 50.0),
        camera=CAMERA,
        positions_camera=points.astype(np.float32),
        keypoints_px=project(points, CAMERA.intrinsics).astype(np.float32),
        frames=np.arange(12),
        activity=np.zeros(12, dtype=np.int8),
    )
    return columns_of([run], BODY.name, "in memory")


def batch_of(poses: CameraPoses, frames: int = 1, rows: slice = slice(None)) -> Batch:
    columns = DevicePoses.from_columns(poses, "cpu", frames)
    return columns.batch(torch.arange(len(columns))[rows])


def _one_by_one(how, parts):
    """The same rows in parts of one."""
    return [
        how(replace(part, rows=part.rows[row : row + 1])) for part in parts for row in range(len(part.rows))
    ]


def test_published_settings_give_the_published_update(poses) -> None:
    """The release's text, restated for one image: its projection, its losses, and Adam by hand."""
    trained, batch = made(TINY), batch_of(poses, rows=slice(3, 4))
    trained.lifter.double()
    batch = replace(
        batch,
        keypoints_px=batch.keypoints_px.double(),
        positions_camera=batch.positions_camera.double(),
        intrinsics=batch.intrinsics.map(lambda field: field.double()),
    )
    width, height = CAMERA.size_px
    middle = torch.tensor([1.0, height / width], dtype=torch.float64)
    x = batch.keypoints_px[0, 0] / width * 2 - middle
    mirrored = torch.tensor(BODY.mirrored)
    flipped = (x * torch.tensor([-1.0, 1.0]))[mirrored]
    root = batch.positions_camera[0, 0, 0]
    k, p = (
        torch.tensor(one, dtype=torch.float64)
        for one in (CAMERA.distortion.radial, CAMERA.distortion.tangential)
    )
    f = torch.tensor(CAMERA.focal_px, dtype=torch.float64) * 2 / width
    c = torch.tensor(CAMERA.centre_px, dtype=torch.float64) * 2 / width - middle

    def answer(z, flip):
        mu, s = (one[0, 0] for one in trained.lifter.scaled(z[None, None]))
        if flip:
            mu, s = (mu * torch.tensor([-1.0, 1.0, 1.0]))[mirrored], s[mirrored]
        return mu, s.squeeze(-1)

    def seen(mu):
        xy = ((mu + root)[:, :2] / (mu + root)[:, 2:]).clamp(-1, 1)
        r2 = (xy**2).sum(-1, keepdim=True)
        radial = 1 + (k * torch.cat([r2, r2**2, r2**3], -1)).sum(-1, keepdim=True)
        # the release has p r2, the toolkit's order of p1 and p2 is (y, x)
        return f * (xy * (radial + (p.flip(0) * xy).sum(-1, keepdim=True)) + p.flip(0) * r2) + c

    latents = [x.clone().requires_grad_(), flipped.clone().requires_grad_()]
    first = [answer(z, flip)[0].detach() for z, flip in zip(latents, (False, True), strict=True)]
    mean, square = [torch.zeros_like(x)] * 2, [torch.zeros_like(x)] * 2
    for step in range(1, 5):
        loss = 0
        for z, flip, mu0 in zip(latents, (False, True), first, strict=True):
            mu, s = answer(z, flip)
            s = s.detach()
            away = torch.sqrt(((mu - mu0) ** 2).sum(-1).clamp(min=1e-300))
            loss = loss + 0.005 * (away * torch.exp(-s) + s).mean()
            loss = loss + torch.sqrt(((seen(mu) - x) ** 2).sum(-1)).mean()
        gradients = torch.autograd.grad(loss, latents)
        for number, g in enumerate(gradients):
            mean[number] = 0.9 * mean[number] + 0.1 * g
            square[number] = 0.999 * square[number] + 0.001 * g**2
            corrected = mean[number] / (1 - 0.9**step)
            root_square = torch.sqrt(square[number] / (1 - 0.999**step))
            moved = latents[number] - 1e-3 * corrected / (root_square + 1e-8)
            latents[number] = moved.detach().requires_grad_()
    expected = (answer(latents[0], False)[0] + answer(latents[1], True)[0]) / 2

    found = optimise(trained, batch, PUBLISHED)
    for ours, theirs, start in zip(found.latents, latents, (x, flipped), strict=True):
        torch.testing.assert_close(ours[0, 0], theirs.detach(), atol=1e-7, rtol=0)
        assert (ours[0, 0] - start).abs().max() > 1e-3
    torch.testing.assert_close(found.answer.positions[0, 0], expected.detach(), atol=1e-7, rtol=0)
    assert found.steps.tolist() == [4]


def test_gradient_of_the_least_squares_root_by_finite_differences(poses) -> None:
    trained, batch = made(TINY), batch_of(poses, rows=slice(2))
    target = Target.of(trained, batch, given=False, half_by=0)
    target = replace(target, rays=target.rays.double(), known=target.known.double(), fit=target.fit.double())
    draw = torch.Generator().manual_seed(0)
    truth = batch.positions_camera - batch.positions_camera[:, :, :1]
    relative = truth.double() + 0.05 * torch.randn(truth.shape, generator=draw)
    scale = torch.randn(*truth.shape[:3], 1, generator=draw).double()

    def root(positions: torch.Tensor) -> torch.Tensor:
        return target.place(Scaled(positions, scale))[:, :, 0]

    assert torch.autograd.gradcheck(root, relative.requires_grad_())
    # only fitted joints count, each by exp(-s): the normal equations, joint by joint
    for clip in range(2):
        rows, right = [], []
        for joint in range(17):
            if target.fit[joint]:
                u, v = target.rays[clip, 0, joint].tolist()
                a, b, z = relative[clip, 0, joint].tolist()
                w = np.exp(-float(scale[clip, 0, joint, 0]) / 2)
                rows += [[w, 0, -w * u], [0, w, -w * v]]
                right += [w * (u * z - a), w * (v * z - b)]
        solved = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
        found = (root(relative) - relative[:, :, 0])[clip, 0].detach()
        np.testing.assert_allclose(found, solved, atol=1e-9)


@pytest.mark.parametrize("root", ["lsq", "given"])
def test_without_projection_the_input_stays(poses, root) -> None:
    trained, batch = made(TINY), batch_of(poses)
    settings = TestTimeOptimisation(projection_weight=0, root=root, stop="iterations", learning_rate=0.1)
    found = optimise(trained, batch, settings)
    for latent, side in zip(found.latents, both_sides(trained, batch), strict=True):
        assert torch.equal(latent, side.keypoints)
    torch.testing.assert_close(found.judged, found.judged[:1].expand_as(found.judged))


def test_held_out_joints_stop_a_clip(poses) -> None:
    trained, batch = made(TINY), batch_of(poses)
    hasty = TestTimeOptimisation(iterations=6, learning_rate=0.5)
    stopped = optimise(trained, batch, hasty)
    on = optimise(trained, batch, hasty.model_copy(update={"stop": "iterations"}))
    assert on.steps.tolist() == [6] * 12
    assert (stopped.steps < 6).sum() > 0
    for clip in range(12):
        judged, steps = stopped.judged[:, clip], int(stopped.steps[clip])
        assert (judged[1 : steps + 1] <= judged[:steps]).all()
        if steps < 6:
            assert judged[steps + 1] > judged[steps]
    first = predict_scaled(trained, poses, test_time="flip").positions
    never = stopped.steps == 0
    assert never.any()
    np.testing.assert_allclose(stopped.answer.positions[never, 0], first[never.numpy()], atol=1e-6)
    # what is judged by is not what is fitted
    target = Target.of(trained, batch, given=False, half_by=hasty.seed)
    assert (target.fit + target.judge == 1).all()
    assert target.fit.sum() == 9


def test_steps_bring_projections_nearer(poses) -> None:
    settings = TestTimeOptimisation(iterations=8, learning_rate=0.01, stop="iterations")
    found = optimise(made(TINY), batch_of(poses), settings)
    assert found.judged[-1].mean() < found.judged[0].mean()


@pytest.mark.parametrize(
    ("config", "seen"), [(TINY, "perspective_and_seen"), (CLIPS, "screen")], ids=["gaps", "clips"]
)
def test_chunks_of_any_size_answer_alike_and_weights_stay(poses, config, seen) -> None:
    trained = made(config, seen)
    if trained.encoding.sees_gaps:
        missing = poses.keypoints_px.copy()
        missing[::3, 5] = np.nan
        poses = replace(poses, keypoints_px=missing)
    weights = {name: value.clone() for name, value in trained.lifter.state_dict().items()}
    whole = predict_optimised(trained, poses, LSQ)

    def elsewhere(how, parts):
        """As a cluster does it: function and parts travel."""
        return [pickle.loads(pickle.dumps(how))(pickle.loads(pickle.dumps(part))) for part in parts]  # noqa: S301

    by_one = predict_optimised(trained, poses, LSQ, over=_one_by_one)
    np.testing.assert_allclose(whole.positions, by_one.positions, atol=3e-4)
    there = predict_optimised(trained, poses, LSQ, over=elsewhere)
    np.testing.assert_array_equal(there.positions, whole.positions)
    assert np.isfinite(whole.positions).all()
    assert all(torch.equal(value, weights[name]) for name, value in trained.lifter.state_dict().items())
    assert all(parameter.grad is None for parameter in trained.lifter.parameters())


def test_truth_is_not_looked_at_unless_it_is_asked_for(poses) -> None:
    trained, hidden = made(TINY), poses.unlabelled()
    found = predict_optimised(trained, hidden, LSQ)
    np.testing.assert_array_equal(found.positions, predict_optimised(trained, poses, LSQ).positions)
    with pytest.raises(ValueError, match="the true root is asked for, but these poses have no 3D"):
        predict_optimised(trained, hidden, PUBLISHED)
    assert str(PUBLISHED).startswith("uao, ORACLE")
    assert "ORACLE" not in str(LSQ)
