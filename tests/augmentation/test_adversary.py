"""What generator and discriminators learn from, against sums worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from poseshift.augmentation.adversary import Adversary, Real
from poseshift.augmentation.config import (
    AdversaryConfig,
    FeedbackChoice,
    FeedbackConfig,
    LearnedAugmentationConfig,
    UsefulnessConfig,
)
from poseshift.augmentation.discriminator import DiscriminatorConfig, KeypointDiscriminator, PartDiscriminator
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.augmentation.transforms import turn
from poseshift.geometry.projection import rays_of
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import Batch, DevicePoses

BODY = skeleton("human36m_17")
NO_JUDGES = DiscriminatorConfig(critic="none")


@pytest.fixture
def clips(make_columns, draw_people, square_camera) -> Batch:
    people = draw_people(np.random.default_rng(1), 8)
    columns = make_columns(people, (square_camera,), np.zeros(8, dtype=np.int32))
    return DevicePoses.from_columns(columns, "cpu", frames=1).batch(torch.arange(8))


@dataclasses.dataclass
class Contest:
    """An adversary, and what it has made of clips in place."""

    clips: Batch
    adversary: Adversary

    def __post_init__(self) -> None:
        made = self.adversary.make(self.clips, self.place, torch.Generator().manual_seed(0))
        augmented = dataclasses.replace(made.augmented, change=torch.full_like(made.augmented.change, 0.5))
        parameters = dataclasses.replace(made.parameters, gains=torch.full_like(made.parameters.gains, 0.2))
        self.made = dataclasses.replace(made, augmented=augmented, parameters=parameters)

    @property
    def real(self) -> Real:
        poses = self.clips.positions_camera[:, 0]
        return Real(poses, rays_of(poses))

    def place(self, poses: torch.Tensor) -> Batch:
        return dataclasses.replace(self.clips, positions_camera=poses)

    def maker_loss(self, progress: float = 0.0, difficulty=None) -> float:
        shown = self.adversary.shown(self.clips, self.made)
        loss = self.adversary.maker_loss(self.clips, self.made, shown, self.place, progress, difficulty)
        return float(loss.detach())

    def judge_loss(self) -> float:
        shown = self.adversary.shown(self.clips, self.made)
        loss = self.adversary.judge_loss(shown, self.real, torch.Generator().manual_seed(0))
        return float(loss.detach())

    def difficulty(self, batch: Batch) -> torch.Tensor:
        """Errors 2 before, 20 after bone angles, 80 after everything: ratios 10 and 40."""
        turned = turn(self.clips.positions_camera, self.made.parameters.axis_angle, BODY)
        known = (
            (self.clips.positions_camera, 2.0),
            (self.made.augmented.angled, 20.0),
            (self.made.placed.positions_camera, 80.0),
            (turned, 4.0),
        )
        for positions, error in known:
            if torch.equal(positions, batch.positions_camera):
                return torch.full((3,), error)
        raise AssertionError("the lifter is asked about poses that are none of the three")


def contest(
    clips: Batch,
    judges: DiscriminatorConfig = NO_JUDGES,
    feedback: FeedbackChoice = FeedbackConfig(weight=0.5),  # noqa: B008
    **weights: object,
) -> Contest:
    config = LearnedAugmentationConfig(
        discriminator=judges,
        generator=GeneratorConfig(width=8, noise=4),
        adversary=AdversaryConfig.model_validate(weights),
        feedback=feedback,
    )
    return Contest(clips, Adversary(config, BODY, 0, torch.device("cpu")))


@pytest.mark.parametrize("weight", [3.0, 0.5, 0.0])
def test_ranges_enter_with_their_weight(clips, weight) -> None:
    """A change of 0.5 is 0.295 from the middle of its range, a gain of 0.2 beyond its bound."""
    expected = weight * (0.295**2 + 0.2**2)
    assert contest(clips, weight_range=weight).maker_loss() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("half_width", "expected"), [(0.05, 0.4**2), (0.5, 0.0)])
def test_the_range_of_change_is_an_option(clips, half_width, expected) -> None:
    """A change of 0.5 is 0.4 from a centre of 0.1; the gains of 0.2 are beyond their bound in both."""
    one = contest(clips, weight_range=1.0, change_centre=0.1, change_half_width=half_width)
    assert one.maker_loss() == pytest.approx(expected + 0.2**2, abs=1e-6)


@pytest.mark.parametrize(("tolerance", "expected"), [(0.0, 0.25), (0.1, 0.05), (0.2, 0.0)])
def test_discriminators_can_restrain_alone(clips, monkeypatch, tolerance, expected) -> None:
    """Scores of 0.5 cost the generator 0.125 each in 3D; what is tolerated of it costs nothing."""
    monkeypatch.setattr(PartDiscriminator, "forward", lambda _, poses: torch.full((len(poses), 5), 0.5))
    judges = DiscriminatorConfig(width=8, keypoints="none")
    one = contest(clips, judges, weight_range=0.0, weight_3d=2.0, critic_tolerance=tolerance)
    assert one.maker_loss() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("aim", "expected"), [(40.0, math.log(2)), (20.0, 0.0), (10.0, 0.0)])
def test_usefulness_compares_with_the_plain_pose_turned_alike(clips, aim, expected) -> None:
    """Errors 80 after everything over 4 on the turned plain pose: half of log(aim / 20), up to the aim."""
    one = contest(clips, feedback=UsefulnessConfig(weight=0.5, aim=aim), weight_range=0.0)
    assert one.maker_loss(0.5, one.difficulty) == pytest.approx(0.5 * expected, abs=1e-6)
    assert one.maker_loss() == 0


@pytest.mark.parametrize(("weight_3d", "weight_2d"), [(6.0, 1.0), (0.5, 3.0)])
def test_discriminators_enter_with_their_weights(clips, monkeypatch, weight_3d, weight_2d) -> None:
    """Scores of 0.5 in 3D and 0 in 2D, where the generator wants 1, cost it a half of 0.25 and of 1."""
    monkeypatch.setattr(PartDiscriminator, "forward", lambda _, poses: torch.full((len(poses), 5), 0.5))
    monkeypatch.setattr(KeypointDiscriminator, "forward", lambda _, rays: torch.zeros(len(rays), 1))
    weights = {"weight_range": 0.0, "weight_3d": weight_3d, "weight_2d": weight_2d}
    loss = contest(clips, DiscriminatorConfig(width=8), **weights).maker_loss()
    assert loss == pytest.approx(weight_3d * 0.125 + weight_2d * 0.5, abs=1e-6)


@pytest.mark.parametrize(("progress", "centre"), [(0.0, 3.0), (0.5, 4.0), (1.0, 5.0)])
def test_feedback_enters_with_a_range_that_rises(clips, progress, centre) -> None:
    """Half of 0.1 (10 - centre)^2 + 0.01 (40 - 17)^2."""
    one = contest(clips, weight_range=0.0)
    expected = 0.5 * (0.1 * (10 - centre) ** 2 + 0.01 * 23**2)
    assert one.maker_loss(progress, one.difficulty) == pytest.approx(expected, rel=1e-6)
    assert one.maker_loss(progress) == 0


def test_discriminators_learn_both_sides_of_3d_and_2d(clips, monkeypatch) -> None:
    """Real poses score 0.75 and made ones 0.5: (0.25^2 + 0.5^2) / 2, once for 3D and once for 2D."""
    one = contest(clips, DiscriminatorConfig(width=8))
    shown = []

    def score(samples: torch.Tensor) -> torch.Tensor:
        shown.extend(samples.chunk(2))
        return torch.tensor([[0.75], [0.5]]).repeat_interleave(len(samples) // 2, dim=0)

    monkeypatch.setattr(PartDiscriminator, "forward", lambda _, poses: score(poses))
    monkeypatch.setattr(KeypointDiscriminator, "forward", lambda _, rays: score(rays))
    assert one.judge_loss() == pytest.approx(2 * 0.15625, abs=1e-6)
    real_poses, made_poses, real_rays, made_rays = shown
    assert torch.equal(real_poses, clips.positions_camera[:, 0])
    assert torch.equal(made_poses, one.made.augmented.angled[:, 0])
    assert real_rays.shape == made_rays.shape == (8, 17, 2)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_gradient_penalty_enters_with_its_weight(clips, monkeypatch, weight) -> None:
    """A score that is half of the sum of a pose's coordinates has a squared slope of 51 / 4."""
    judges = DiscriminatorConfig(
        width=8, keypoints="none", regularisation="gradient_penalty", penalty_weight=weight
    )
    monkeypatch.setattr(
        PartDiscriminator, "forward", lambda _, poses: 0.5 * poses.flatten(1).sum(dim=1, keepdim=True)
    )
    steep = contest(clips, judges)
    poses = clips.positions_camera[:, 0].flatten(1).sum(dim=1) / 2
    made = steep.made.augmented.angled[:, 0].flatten(1).sum(dim=1) / 2
    scores = float(((poses - 1).square().mean() + made.square().mean()).detach() / 2)
    assert steep.judge_loss() == pytest.approx(scores + weight * 51 / 4, rel=1e-5)


@pytest.mark.parametrize(
    ("progress", "decay", "rate"), [(0.0, "linear", 1e-3), (0.75, "linear", 2.5e-4), (0.75, "constant", 1e-3)]
)
def test_rates_fall_linearly_over_the_run_or_stay(clips, progress, decay, rate) -> None:
    """Adam's first step moves a weight that has a slope by the rate, whatever the slope."""
    one = contest(clips, DiscriminatorConfig(width=8), learning_rate=1e-3, decay=decay)
    before = one.adversary.state_dict()
    learned = {side: {name: w.clone() for name, w in before[side].items()} for side in ("makers", "judges")}
    one.adversary.learn(
        clips,
        one.adversary.make(clips, one.place, torch.Generator().manual_seed(0)),
        one.real,
        one.place,
        torch.Generator().manual_seed(0),
        progress=progress,
        difficulty=None,
    )
    after = one.adversary.state_dict()
    for side, weights in learned.items():
        steps = [
            (after[side][name] - w).abs().max() for name, w in weights.items() if name.endswith("weight")
        ]
        assert float(torch.stack(steps).max()) == pytest.approx(rate, rel=1e-2)
