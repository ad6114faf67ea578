"""What every registered lifter owes, whichever it is."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from poseshift.flows.commands.listing import shipped_listing
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import encoding
from poseshift.training.evaluation.answering import predict
from poseshift.training.export.formats import MODEL_FORMATS
from poseshift.training.export.lifter import export_lifter
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.blocks import BlockLifter
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.convformer import ConvFormerConfig
from poseshift.training.lifters.gla_gcn import GLAGCNConfig
from poseshift.training.lifters.gumlp import GUMLPConfig
from poseshift.training.lifters.ktpformer import KTPFormerConfig
from poseshift.training.lifters.lifter import Answered, ScaledLifter
from poseshift.training.lifters.mixste import MixSTEConfig
from poseshift.training.lifters.pruned import Pruned, PrunedConfig
from poseshift.training.lifters.registry import build, preset, presets
from poseshift.training.lifters.semgcn import SemGCNConfig
from poseshift.training.lifters.simple_baseline import SimpleBaselineConfig
from poseshift.training.lifters.stgcn import STGCNConfig
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.lifters.with_scale import WithScaleConfig
from poseshift.training.losses import loss
from poseshift.training.step_loss import batch_loss

SMALL = sorted(name for name in presets() if name.endswith("-small"))

LARGE = {row.name for row in shipped_listing().lifters if row.multiply_adds > 1e9}
"""Too slow to run on a CPU in a test; the others of their kind are run."""


def _short(config: LifterConfig) -> LifterConfig:
    """The same network for clips of two or three frames, where it takes clips of any length."""
    if isinstance(config, PrunedConfig):
        return config.model_copy(update={"of": _short(config.of), "keep": 1})
    if isinstance(config, GLAGCNConfig):
        return config.model_copy(update={"filter_widths": (3,)})
    shorter = {"frames": 2} if "frames" in type(config).model_fields else {}
    return config.model_copy(update=shorter)


def test_every_lifter_has_a_small_preset() -> None:
    assert {preset(name).name for name in SMALL} == {config.name for config in presets().values()}


@pytest.mark.parametrize("name", sorted(LARGE))
def test_shapes_of_large_lifters(name) -> None:
    with torch.device("meta"):
        lifter = build(preset(name), 3)
    lifter.to("meta")  # and what was made of arrays, too
    answered = lifter.frames if lifter.output == "all" else 1
    keypoints = torch.zeros(2, lifter.frames, lifter.joints, 3, device="meta")
    assert lifter(keypoints).shape == (2, answered, lifter.joints, 3)


@pytest.mark.parametrize("name", sorted(presets().keys() - LARGE))
def test_contract(name) -> None:
    lifter = build(preset(name), 3)
    keypoints = torch.randn(
        2, lifter.frames, lifter.joints, 3, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    answered = lifter.frames if lifter.output == "all" else 1
    out = lifter(keypoints)
    assert out.shape == (2, answered, 17, 3)
    assert torch.isfinite(out).all()
    assert (out[:, :, skeleton(lifter.skeleton).root] == 0).all()
    told = lifter.scaled(keypoints).log_scale.sum() if isinstance(lifter, ScaledLifter) else 0.0
    (out.square().sum() + told).backward()
    assert keypoints.grad.abs().sum() > 0
    learned = [p for p in lifter.parameters() if p.requires_grad]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in learned)
    # one clip's answer does not depend on the others of its batch
    lifter.eval()
    with torch.no_grad():
        torch.testing.assert_close(lifter(keypoints)[:1], lifter(keypoints[:1]), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="built for keypoints of shape"):
        lifter(keypoints[:, :, 1:])


# Pruning is the same module around either host, and one of them is enough here.
@pytest.mark.parametrize("name", [name for name in SMALL if name != "hot-ktpformer-small"])
def test_learns_a_few_poses_by_heart(name, poses_of) -> None:
    config, chosen = _short(preset(name)), encoding("screen")
    lifter = build(config, chosen.channels, seed=0)
    slow = isinstance(lifter, BlockLifter | Pruned)  # attention alone: fewer poses, a lower rate, a warm-up
    frames, steps, rate, warm_up = (1, 220, 2e-3, 10) if slow else (4, 150, 4e-3, 1)
    poses = poses_of(frames, 0)
    truth = poses.positions_camera - poses.positions_camera[:, :1]
    mean_pose = np.linalg.norm(truth - truth.mean(axis=0), axis=-1).mean()
    columns = DevicePoses.from_columns(poses, "cpu", lifter.frames)
    batch = columns.batch(torch.arange(len(columns)))
    optimizer = torch.optim.Adam(lifter.parameters())

    def evaluated() -> float:
        answers = predict(TrainedLifter(lifter.eval(), chosen, config, {}), poses)
        lifter.train()
        return float(np.linalg.norm(answers - truth, axis=-1).mean() / mean_pose)

    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps) * min(1, (step + 1) / warm_up)
        optimizer.zero_grad()
        error = batch_loss(lifter, chosen, batch, loss("mpjpe"))
        error.backward()
        optimizer.step()
        if step % 20 == 19 and error.item() < 0.45 * mean_pose and evaluated() < 0.55:
            break
    assert all(torch.isfinite(p.grad).all() for p in lifter.parameters() if p.grad is not None)
    assert error.item() < 0.5 * mean_pose
    # A few poses leave the running moments of batch norms behind: evaluation is a little worse.
    assert evaluated() < 0.6


_TWO_BLOCKS = MixSTEConfig(frames=3, width=8, heads=2, depth=2)

TINY: tuple[LifterConfig, ...] = (
    SimpleBaselineConfig(width=8, blocks=1),
    AMPoseConfig(width=8, pairs=1, heads=2),
    VideoPose3DConfig(filter_widths=(3,), width=8),
    SemGCNConfig(width=8, blocks=1),
    STGCNConfig(width=8, part_width=8),
    MixSTEConfig(frames=3, width=8, heads=2, depth=1),
    KTPFormerConfig(frames=3, width=8, heads=2, depth=1),
    ConvFormerConfig(frames=3, width=8, depth=1, heads=2),
    GLAGCNConfig(filter_widths=(3,), width=8),
    GUMLPConfig(width=8, embedding=8, blocks=1),
    # a clip's frames are chosen in the program itself
    PrunedConfig(of=KTPFormerConfig(frames=3, width=8, heads=2, depth=1), keep=2, before_block=1, heads=2),
    PrunedConfig(of=_TWO_BLOCKS, keep=2, before_block=1, choose="motion", recover="linear"),
    PrunedConfig(of=_TWO_BLOCKS, keep=2, before_block=1, choose="uniform", recover="none"),
    WithScaleConfig(of=SimpleBaselineConfig(width=8, blocks=1), hidden=8),
)
"""Every kind of lifter, as small as it can be."""


def _called(config: LifterConfig) -> str:
    return f"{config.name}-{config.recover}" if isinstance(config, PrunedConfig) else config.name


def test_no_kind_of_lifter_is_left_out_of_what_follows() -> None:
    assert {config.name for config in TINY} == {preset(name).name for name in SMALL} | {"with-scale"}


@pytest.mark.parametrize("config", TINY, ids=_called)
def test_lifters_export_to_one_file(config) -> None:
    chosen = encoding("screen")
    lifter = build(config, chosen.channels).eval()
    trained = TrainedLifter(lifter, chosen, config, {})
    assert export_lifter(trained, MODEL_FORMATS["pt2"]).difference_m < 1e-4


@pytest.mark.parametrize("config", TINY, ids=_called)
def test_lifters_compile_as_one_graph_with_the_same_answers_and_gradients(config) -> None:
    lifter = build(config, 2)
    keypoints = torch.randn(3, lifter.frames, lifter.joints, 2, generator=torch.Generator().manual_seed(0))
    torch.compiler.reset()  # lifters share methods, and of each only a few variants are kept
    # Forward and backward are traced; what a GPU would better compute twice is not asked for.
    backend = "aot_eager_default_partitioner"
    compiled = torch.compile(lifter.answered, fullgraph=True, backend=backend)

    def learned(answered: Callable[[torch.Tensor], tuple[Answered, ...]]) -> list[torch.Tensor]:
        lifter.zero_grad()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # of dropout
            found = [one for answer in answered(keypoints) for one in answer if one is not None]
        torch.stack([one.square().mean() for one in found if one.is_floating_point()]).sum().backward()
        return found + [one.grad for one in lifter.parameters() if one.grad is not None]

    expected, found = learned(lifter.answered), learned(compiled)
    assert len(found) == len(expected) > 2
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
