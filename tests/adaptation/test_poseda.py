import dataclasses
import errno
import logging
import os

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from poseshift.adaptation.poseda import PoseDA
from poseshift.adaptation.poseda_config import PoseDAConfig, poseaug
from poseshift.adaptation.rollback import fit_with_rollback, read_rollbacks
from poseshift.adaptation.target_keypoints import TargetKeypoints
from poseshift.augmentation.collapse import CollapseConfig, CollapseError
from poseshift.augmentation.conditional_generator import ConditionalGeneratorConfig
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig, UsefulnessConfig
from poseshift.augmentation.discriminator import DiscriminatorConfig, PairDiscriminator
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.geometry.bones import bone_directions, bone_lengths
from poseshift.geometry.projection import project, rays_of, to_screen
from poseshift.geometry.skeleton import skeleton
from poseshift.training.batches import DevicePoses
from poseshift.training.encoding import encoding
from poseshift.training.fit import fit
from poseshift.training.lifters.ampose import AMPoseConfig
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build
from poseshift.training.lifters.videopose3d import VideoPose3DConfig
from poseshift.training.run_state import STATE_FILE
from poseshift.training.schedule import Schedule
from poseshift.training.transforms import StatefulTransform, TrainingRun

BODY = skeleton("human36m_17")
SMALL = PoseDAConfig(
    pretraining=0.2,
    warmup=0.1,
    discriminator=DiscriminatorConfig(width=8),
    pretrain_on="raw",
    bone_lengths="exchanged",
    generator=GeneratorConfig(width=8, noise=4, first_angles=1.0),
    adversary=AdversaryConfig(history=40, learning_rate=1e-3, learn_every=1),
    collapse=CollapseConfig(check_every=2),
)
FROM_RANDOM = PoseDAConfig(
    pretraining=0.4,
    pretrain_on="augmented",
    warmup=0.0,
    generator=ConditionalGeneratorConfig(width=8),
    discriminator=DiscriminatorConfig(width=8, keypoints="none"),
    adversary=AdversaryConfig(history=40, learning_rate=1e-3, decay="constant", learn_every=1),
    feedback=UsefulnessConfig(),
    collapse=CollapseConfig(check_every=2),
)
SCHEDULE = Schedule(epochs=5, steps_per_epoch=4, batch_size=16)


class InterruptionError(Exception):
    """Raised by the tests in the middle of a run."""


@pytest.fixture
def source(make_columns, draw_people, distorted_camera, square_camera):
    """48 poses of two subjects of different size, in front of two cameras."""
    people = draw_people(np.random.default_rng(1), 48)
    root = people[:, :1]
    people[24:] = (root + 0.8 * (people - root))[24:]
    poses = make_columns(people, (distorted_camera, square_camera), np.repeat([0, 1], 24).astype(np.int32))
    small = dataclasses.replace(poses.trials[1], key=dataclasses.replace(poses.trials[1].key, subject="U"))
    return dataclasses.replace(poses, trials=(poses.trials[0], small))


@pytest.fixture
def target(make_columns, draw_people, wide_camera):
    people = draw_people(np.random.default_rng(2), 30, depth=6.0, spread=0.8)
    poses = make_columns(people, (wide_camera,), np.zeros(30, dtype=np.int32))
    return TargetKeypoints.from_poses(poses)


def changed(config: PoseDAConfig, **changes: object) -> PoseDAConfig:
    return PoseDAConfig.model_validate({**config.model_dump(), **changes})


@dataclasses.dataclass
class Steps:
    """A transform in a run of its own, called with the same batch again and again."""

    transform: PoseDA
    data: DevicePoses
    rng: torch.Generator

    def next(self):
        return self.transform(self.batch, self.rng)

    @property
    def batch(self):
        return self.data.batch(torch.arange(len(self.data)))


@pytest.fixture
def begin(source, target):
    def begin(config: PoseDAConfig, total: int = 20, frames: int = 1, lifter: Lifter | None = None) -> Steps:
        transform = PoseDA(config, source, target, seed=3)
        lifter = lifter or build(AMPoseConfig(width=8, pairs=1, heads=2), 2)
        transform.attach(TrainingRun(lifter, encoding("screen"), total))
        data = DevicePoses.from_columns(source, "cpu", frames=frames)
        return Steps(transform, data, torch.Generator().manual_seed(0))

    return begin


def at_target(batch, target) -> bool:
    """Whether every root is seen where some target root is seen."""
    roots = rays_of(batch.positions_camera[:, batch.positions_camera.shape[1] // 2, 0])
    distance = (roots[:, None] - torch.as_tensor(target.rays[:, 0])).norm(dim=-1)
    return bool((distance.amin(dim=1) < 1e-5).all())


def shape_changed(first, second) -> bool:
    return bool(shapes_changed(first, second).any())


def shapes_changed(first, second) -> torch.Tensor:
    """Which clips' bones point elsewhere, (clips,)."""
    directions = [bone_directions(one.positions_camera, BODY) for one in (first, second)]
    return (directions[0] - directions[1]).abs().amax(dim=(1, 2, 3)) > 1e-3


def test_is_a_transform_with_state(source, target) -> None:
    transform = PoseDA(SMALL, source, target, seed=0)
    assert isinstance(transform, StatefulTransform)
    with pytest.raises(RuntimeError, match="within a training run"):
        transform(DevicePoses.from_columns(source, "cpu", 1).batch(torch.arange(4)), torch.Generator())


def test_phases(begin, target) -> None:
    """Of 20 steps: 4 raw, 2 aligned while the adversary warms up, then half augmented and half aligned."""
    steps = begin(SMALL)
    raw = steps.batch
    taught = [steps.next() for _ in range(20)]
    kinds = []
    for batch in taught:
        if torch.equal(batch.positions_camera, raw.positions_camera):
            kinds.append("raw")
        elif at_target(batch, target):
            kinds.append("augmented" if shape_changed(batch, raw) else "aligned")
    assert kinds == [*["raw"] * 4, *["aligned"] * 2, *["augmented"] * 14]


@pytest.mark.parametrize(("share", "expected"), [(1.0, 48), (0.5, 24), (0.25, 12), (0.001, 2)])
@pytest.mark.parametrize("beside", ["aligned", "raw"])
def test_a_share_of_every_batch_is_augmented(begin, target, share, expected, beside) -> None:
    """The rest is aligned or as it was; the smallest share is what batch norm can learn from."""
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0, share=share, beside=beside, bone_lengths="own"))
    for _ in range(3):
        batch = steps.next()
        assert shapes_changed(batch, steps.batch).tolist() == [*[True] * expected, *[False] * (48 - expected)]
        assert at_target(batch[:expected], target)
        if expected < 48:
            rest = batch[expected:]
            same = torch.equal(rest.positions_camera, steps.batch[expected:].positions_camera)
            assert same == (beside == "raw")
            assert at_target(rest, target) == (beside == "aligned")


def test_the_adversary_learns_in_every_few_steps_and_augments_in_all(begin) -> None:
    adversary = SMALL.adversary.model_copy(update={"learn_every": 3})
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0, adversary=adversary.model_dump()))
    learned = []
    for _ in range(6):
        before = _weights(steps.transform.state_dict()["adversary"]["makers"])
        assert shape_changed(steps.next(), steps.batch)
        learned.append(not torch.equal(before, _weights(steps.transform.state_dict()["adversary"]["makers"])))
    assert learned == [True, False, False, True, False, False]


def test_augmented_from_the_first_step_and_learned_from_later_on(begin, target) -> None:
    """Of 20 steps, 8 augment with the first weights; then the generator learns in every one."""
    steps = begin(FROM_RANDOM)
    learned = []
    for _ in range(12):
        before = _weights(steps.transform.state_dict()["adversary"]["makers"])
        batch = steps.next()
        assert shapes_changed(batch, steps.batch).tolist() == [*[True] * 24, *[False] * 24]
        assert at_target(batch, target)
        learned.append(not torch.equal(before, _weights(steps.transform.state_dict()["adversary"]["makers"])))
    assert learned == [*[False] * 8, *[True] * 4]


def test_a_generator_that_never_learns_is_a_run_of_first_weights(begin) -> None:
    steps = begin(changed(FROM_RANDOM, pretraining=1.0))
    before = _weights(steps.transform.state_dict()["adversary"]["makers"])
    assert all(shape_changed(steps.next(), steps.batch) for _ in range(20))
    assert torch.equal(before, _weights(steps.transform.state_dict()["adversary"]["makers"]))
    with pytest.raises(ValidationError, match="leave no step for augmented"):
        changed(SMALL, pretraining=1.0, warmup=0.0)


def test_the_checks_say_what_the_generator_follows(begin) -> None:
    """At first nothing but noise; a layer that listens to the pose is seen in the next check."""
    steps = begin(changed(FROM_RANDOM, pretraining=0.0))
    for _ in range(3):
        steps.next()
    first = steps.transform.watch.history[-1]
    assert first.angles_by_pose < 0.1
    with torch.no_grad():
        seeded = torch.Generator().manual_seed(0)
        steps.transform.generator.network[-1].weight.normal_(std=10.0, generator=seeded)
    for _ in range(10):
        steps.next()
    later = steps.transform.watch.history[-1]
    assert later.step > first.step
    assert later.angles_by_pose > 5 * first.angles_by_pose
    assert 0 <= later.angles_common <= 1


def test_usefulness_makes_poses_harder(begin, source) -> None:
    """A lifter that answers with one pose errs more on what the generator has learned than at first."""
    config = changed(
        FROM_RANDOM,
        pretraining=0.0,
        share=1.0,
        discriminator={"critic": "none"},
        adversary={"learning_rate": 1e-2, "decay": "constant", "learn_every": 1, "weight_range": 0.0},
        feedback={"kind": "usefulness", "aim": 20.0},
        generator={"kind": "conditional", "width": 32, "rotation": "none", "least_angle_spread": 0.0},
        collapse={"check_every": 1000},
    )
    steps = begin(config, total=200)

    def distance() -> float:
        made = [bone_directions(steps.next().positions_camera, BODY) for _ in range(4)]
        plain = bone_directions(steps.batch.positions_camera, BODY)
        return sum(float((one - plain).norm(dim=-1).mean()) for one in made)

    first = distance()
    for _ in range(60):
        steps.next()
    assert distance() > 1.2 * first


def test_taught_pairs_are_consistent(begin, target, wide_camera) -> None:
    """Keypoints are the poses' projection in front of the target's camera, and nothing carries a graph."""
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0))
    for _ in range(2):
        batch = steps.next()
        assert not batch.positions_camera.requires_grad
        assert not batch.keypoints_px.requires_grad
        torch.testing.assert_close(batch.keypoints_px, project(batch.positions_camera, batch.intrinsics))
        assert batch.intrinsics.focal_px[:, 0].tolist() == pytest.approx([wide_camera.focal_px[0]] * 48)


def test_bone_lengths_come_from_subjects_of_the_source(begin, source) -> None:
    """In aligned steps, which change no length, every pose has the mean lengths of one of the two."""
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.5))
    lengths = bone_lengths(steps.next().positions_camera[:, 0], BODY)
    means = torch.stack(
        [
            torch.as_tensor(bone_lengths(source.positions_camera[rows], BODY)).mean(dim=0)
            for rows in (slice(24), slice(24, 48))
        ]
    )
    distance = (lengths[:, None] - means).norm(dim=-1)
    assert float(distance.amin(dim=1).max()) < 1e-4
    assert set(distance.argmin(dim=1).tolist()) == {0, 1}
    own = begin(changed(SMALL, pretraining=0.0, warmup=0.5, bone_lengths="own"))
    torch.testing.assert_close(
        bone_lengths(own.next().positions_camera, BODY), bone_lengths(own.batch.positions_camera, BODY)
    )


def test_one_set_of_parameters_serves_a_clip(begin) -> None:
    """All frames of a clip have their lengths changed by the same factors, and roots move as one.

    Turned about the middle frame's root, the way from it has the length that it had before.
    """
    options = {"bone_lengths": "own", "global_position": {"trajectory": "source"}}
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0, **options), frames=5)
    batch, raw = steps.next(), steps.batch
    factors = bone_lengths(batch.positions_camera, BODY) / bone_lengths(raw.positions_camera, BODY)
    torch.testing.assert_close(factors, factors[:, 2:3].expand_as(factors), atol=1e-3, rtol=0)
    assert float((factors - 1).abs().max()) > 0.01
    motion = [one.positions_camera[:, :, 0] - one.positions_camera[:, 2:3, 0] for one in (batch, raw)]
    torch.testing.assert_close(*(way.norm(dim=-1) for way in motion), atol=1e-4, rtol=0)


def test_motion_is_judged_against_the_sources_bones_and_the_targets_keypoints(begin, target) -> None:
    judged = {"width": 8, "motion": True}
    steps = begin(
        changed(SMALL, pretraining=0.0, warmup=0.5, discriminator=judged),
        frames=3,
        lifter=build(VideoPose3DConfig(filter_widths=(3,), width=8), 2),
    )
    steps.next()
    adversary, batch = steps.transform._adversary, steps.batch
    before = {name: value.clone() for name, value in adversary._judges.state_dict().items()}
    real = steps.transform._real(batch, torch.Generator().manual_seed(1))
    torch.testing.assert_close(real.steps.poses, batch.positions_camera[:, [1, 0]])
    rays = torch.as_tensor(target.rays)
    for later, earlier in real.steps.rays:
        row = int((rays - later).abs().amax(dim=(1, 2)).argmin())
        torch.testing.assert_close(later, rays[row])
        torch.testing.assert_close(earlier, rays[max(0, row - 1)])
    for _ in range(4):
        steps.next()
    learned = {
        name.split(".")[0]
        for name, value in adversary._judges.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert learned == {"3d", "2d", "3d_motion", "2d_motion"}


def test_single_frames_have_no_motion_to_judge(begin) -> None:
    with pytest.raises(ValueError, match="need clips, and this lifter sees single frames"):
        begin(changed(SMALL, discriminator={"width": 8, "motion": True}))


def test_poses_can_stay_where_they_stood(begin) -> None:
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0, placement="kept"))
    batch = steps.next()
    torch.testing.assert_close(batch.positions_camera[..., 0, :], steps.batch.positions_camera[..., 0, :])
    assert shape_changed(batch, steps.batch)
    torch.testing.assert_close(batch.intrinsics.focal_px, steps.batch.intrinsics.focal_px)


def test_upright_turns_keep_gravity_and_free_ones_turn_it(begin) -> None:
    up = torch.nn.functional.normalize(torch.tensor([[0.1, -1.0, 0.3]]), dim=1).expand(48, 3)
    for rotation in ("upright", "free"):
        config = changed(
            SMALL,
            pretraining=0.0,
            warmup=0.0,
            share=1.0,
            generator={"rotation": rotation, "width": 8, "noise": 4},
        )
        steps = begin(config)
        batch = dataclasses.replace(steps.batch, up_camera=up)
        taught = steps.transform(batch, steps.rng)
        same = torch.allclose(taught.up_camera, up, atol=1e-4)
        assert same == (rotation == "upright")
        torch.testing.assert_close(taught.up_camera.norm(dim=1), torch.ones(48))


def test_upright_turns_need_to_know_up(begin) -> None:
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0))
    with pytest.raises(ValueError, match="Choose rotation 'viewing_axis', 'free' or 'none'"):
        steps.transform(dataclasses.replace(steps.batch, up_camera=None), steps.rng)


def test_poseaug_is_made_of_the_same_parts(begin) -> None:
    """Before the source's cameras, learned positions, and whatever falls out of the image gives way."""
    config = changed(
        poseaug(),
        pretraining=0.0,
        warmup=0.0,
        generator=SMALL.generator.model_dump(),
        collapse=SMALL.collapse.model_dump(),
    )
    steps = begin(config)
    batch = steps.next()
    torch.testing.assert_close(batch.intrinsics.focal_px, steps.batch.intrinsics.focal_px)
    screen = to_screen(batch.keypoints_px, batch.intrinsics.size_px)
    moved = (batch.positions_camera[:, 0, 0] - steps.batch.positions_camera[:, 0, 0]).norm(dim=1) > 1e-4
    assert bool(moved.any())
    assert not moved[24:].any()
    assert float(screen[moved].abs().max()) <= 1
    assert not shape_changed(batch[24:], steps.batch[24:])


@pytest.mark.parametrize("critic", ["parts", "pairs", "none"])
@pytest.mark.parametrize("regularisation", ["none", "spectral", "gradient_penalty"])
def test_every_variant_learns(begin, critic, regularisation) -> None:
    """Weights of the generator move at every step; those of the discriminators at every other one."""
    config = changed(
        SMALL,
        pretraining=0.0,
        warmup=0.0,
        share=1.0,
        discriminator={"critic": critic, "regularisation": regularisation, "width": 8},
    )
    steps = begin(config)
    states = []
    for _ in range(3):
        state = steps.transform.state_dict()["adversary"]
        states.append([_weights(state[name]) for name in ("makers", "judges")])
        steps.next()
    makers, judges = zip(*states, strict=True)
    assert not torch.equal(makers[0], makers[1])
    assert not torch.equal(makers[1], makers[2])
    assert torch.isfinite(makers[2]).all()
    if critic == "none":
        assert len(judges[0]) == 0
    else:
        assert not torch.equal(judges[0], judges[1])
        assert torch.equal(judges[1], judges[2])


def _weights(state) -> torch.Tensor:
    """Everything learned, without the vectors that spectral normalisation keeps in every pass."""
    learned = [
        value.flatten() for name, value in state.items() if name.endswith(("weight", "bias", "original"))
    ]
    return torch.cat(learned).clone() if learned else torch.zeros(0)


@pytest.mark.parametrize(("seconds", "apart"), [(None, 23), (0.1, 5), (0.001, 1)])
def test_real_pairs_are_poses_of_one_recording_near_in_time(
    begin, source, monkeypatch, seconds, apart
) -> None:
    """Recognised by their bones' directions, which an exchange of lengths keeps; every pose gets its turn.

    At 50 frames a second, a tenth of one is five frames; the two recordings have 24.
    """
    shown = []
    score = PairDiscriminator.forward

    def watched(judge: PairDiscriminator, pairs: torch.Tensor) -> torch.Tensor:
        shown.extend(pairs.detach().split(48))  # a batch, or one of real pairs before one of made pairs
        return score(judge, pairs)

    monkeypatch.setattr(PairDiscriminator, "forward", watched)
    discriminator = {"critic": "pairs", "keypoints": "none", "width": 8, "pair_seconds": seconds}
    steps = begin(changed(SMALL, pretraining=0.0, warmup=0.0, share=1.0, discriminator=discriminator))
    for _ in range(20):
        steps.next()
    known = bone_directions(torch.as_tensor(source.positions_camera), BODY).flatten(1)
    found = [torch.cdist(bone_directions(one, BODY).flatten(2), known[None]).min(dim=2) for one in shown]
    real = torch.cat([rows for distance, rows in found if float(distance.max()) < 0.02])
    assert len(real) >= 10 * 48
    trials = torch.as_tensor(source.trial)[real]
    assert torch.equal(trials[:, 0], trials[:, 1])
    assert set(real[:, 1].tolist()) == set(range(48))
    assert int((real[:, 0] - real[:, 1]).abs().max()) <= apart
    assert int((real[:, 0] - real[:, 1]).abs().max()) >= min(apart, 20)


def test_the_range_penalty_alone_brings_change_into_its_range(begin) -> None:
    """First weights that move bones too far (mean 1 - cos above 0.37) are brought back into the range."""
    config = changed(
        SMALL,
        pretraining=0.0,
        warmup=0.0,
        share=1.0,
        discriminator={"critic": "none"},
        adversary={"learning_rate": 1e-2},
        generator={"width": 32, "noise": 4, "rotation": "none"},
        collapse={"check_every": 1000},
    )
    steps = begin(config, total=150)

    with torch.no_grad():
        steps.transform.generator.angles[-1].weight.mul_(10)
    changes = []
    for _ in range(100):
        before = bone_directions(steps.batch.positions_camera, BODY)
        after = bone_directions(steps.next().positions_camera, BODY)
        changes.append(1 - float((before * after).sum(dim=-1).mean()))
    assert changes[0] > 0.4
    assert 0.04 < changes[-1] < 0.38


def test_feedback_uses_the_lifter_and_leaves_it_alone(begin) -> None:
    """With feedback the generator learns something else; weights, gradients and mode of the lifter stay."""
    generators = []
    for weight in (0.0, 1.0):
        lifter = build(AMPoseConfig(width=8, pairs=1, heads=2, dropout=0.3), 2)
        lifter.train()
        before = {name: value.clone() for name, value in lifter.state_dict().items()}
        config = changed(
            SMALL, pretraining=0.0, warmup=0.0, feedback=FeedbackConfig(weight=weight).model_dump()
        )
        steps = begin(config, lifter=lifter)
        state = torch.get_rng_state()
        steps.next()
        assert torch.equal(state, torch.get_rng_state())  # no dropout was drawn
        assert lifter.training
        assert all(module.training for module in lifter.modules())
        assert all(weight.grad is None for weight in lifter.parameters())
        assert all(torch.equal(before[name], value) for name, value in lifter.state_dict().items())
        generators.append(_weights(steps.transform.state_dict()["adversary"]["makers"]))
    assert not torch.equal(*generators)


def train(source, target, run_dir, config, **options):
    lifter = build(AMPoseConfig(width=8, pairs=1, heads=2, dropout=0.2), 2)
    transform = PoseDA(config, source, target, seed=3)
    data = DevicePoses.from_columns(source, "cpu", frames=1)
    result = fit(
        lifter,
        encoding("screen"),
        data,
        SCHEDULE,
        run_dir=run_dir,
        seed=5,
        transforms=(transform,),
        **options,
    )
    return result, transform


def test_interrupted_while_it_departs_from_random_ends_like_undisturbed(source, target, tmp_path) -> None:
    """As below, for the conditional generator with its running statistics."""
    whole, kept = train(source, target, tmp_path / "whole", FROM_RANDOM)

    def stop(log) -> None:
        if log.epoch == 3:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train(source, target, tmp_path / "broken", FROM_RANDOM, on_epoch=stop)
    resumed, again = train(source, target, tmp_path / "broken", FROM_RANDOM)
    _assert_same(kept.state_dict(), again.state_dict())
    _assert_same(whole.lifter.state_dict(), resumed.lifter.state_dict())
    assert len(kept.watch.history) >= 2


@pytest.mark.parametrize("critic", ["parts", "pairs"])
def test_interrupted_in_the_adversarial_phase_ends_like_undisturbed(source, target, tmp_path, critic) -> None:
    """Bit for bit: lifter, generator, discriminators, histories, checks."""
    config = changed(
        SMALL,
        discriminator={"critic": critic, "width": 8, "regularisation": "spectral"},
        feedback={"weight": 1.0},
        generator={"width": 8, "noise": 4, "rotation": "free"},
    )
    whole, kept = train(source, target, tmp_path / "whole", config)

    def stop(log) -> None:
        if log.epoch == 3:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        train(source, target, tmp_path / "broken", config, on_epoch=stop)
    resumed, again = train(source, target, tmp_path / "broken", config)
    _assert_same(kept.state_dict(), again.state_dict())
    _assert_same(whole.lifter.state_dict(), resumed.lifter.state_dict())
    assert len(kept.watch.history) >= 2
    assert kept.state_dict()["step"] == 20


def _assert_same(first, second) -> None:
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            _assert_same(first[name], second[name])
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            _assert_same(one, other)
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    else:
        assert first == second


class Dies(PoseDA):
    """Its generator's last layers lose their weights at a step, in the first tries of the run."""

    at_step = 15
    tries = 1

    def __call__(self, batch, generator):
        if self._step == self.at_step and self.rollbacks < self.tries:
            with torch.no_grad():
                for part in (self.generator.angles, self.generator.gains, self.generator.rotation):
                    part[-1].weight.zero_()
        return super().__call__(batch, generator)


def run_with_rollback(kind, source, target, run_dir, config=SMALL, schedule=SCHEDULE, **options):
    lifter = build(AMPoseConfig(width=8, pairs=1, heads=2, dropout=0.2), 2)
    transform = kind(config, source, target, seed=3)
    data = DevicePoses.from_columns(source, "cpu", frames=1)
    return fit_with_rollback(
        lifter, encoding("screen"), data, schedule, transform, run_dir=run_dir, seed=5, **options
    )


IMPATIENT = changed(SMALL, share=1.0, collapse=CollapseConfig(check_every=1, patience=2).model_dump())


def test_a_collapse_is_found_and_the_run_goes_back(source, target, tmp_path, caplog) -> None:
    epochs: list[int] = []
    with caplog.at_level(logging.WARNING, logger="adaptation"):
        result = run_with_rollback(
            Dies, source, target, tmp_path, IMPATIENT, on_epoch=lambda log: epochs.append(log.epoch)
        )
    assert epochs == [1, 2, 3, 4, 4, 5]  # the fourth ended with a first sign: the third is the last good one
    (entry,) = result.rollbacks
    assert entry.to_epoch == 3
    assert entry.health.step in (16, 17)
    assert set(entry.signs) <= {
        "the bone angles are all alike",
        "the bone lengths are all alike",
        "the rotations are all alike",
    }
    assert entry.signs
    assert "Going back to the end of epoch 3" in caplog.text
    assert [log.epoch for log in result.fit.history] == [1, 2, 3, 4, 5]
    assert all(health.angle_spread > 0.01 for health in result.health)
    assert read_rollbacks(tmp_path) == result.rollbacks


def test_a_collapse_before_any_good_state_starts_again_from_other_weights(source, target, tmp_path) -> None:
    class DiesAtOnce(Dies):
        at_step = 1

    config = changed(IMPATIENT, pretraining=0.0, warmup=0.0)
    result = run_with_rollback(DiesAtOnce, source, target, tmp_path, config)
    assert [entry.to_epoch for entry in result.rollbacks] == [0]
    assert len(result.fit.history) == 5


def test_after_going_back_the_draws_are_others(source, target, tmp_path) -> None:
    once = run_with_rollback(Dies, source, target, tmp_path / "a", IMPATIENT)
    never = run_with_rollback(PoseDA, source, target, tmp_path / "b", IMPATIENT)
    assert not never.rollbacks
    losses = [[log.loss for log in one.fit.history] for one in (once, never)]
    assert losses[0][:3] == losses[1][:3]
    assert losses[0][3:] != losses[1][3:]


def test_killed_after_going_back_it_ends_like_undisturbed(source, target, tmp_path) -> None:
    whole = run_with_rollback(Dies, source, target, tmp_path / "whole", IMPATIENT)

    def stop(log) -> None:
        if log.epoch == 4:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        run_with_rollback(Dies, source, target, tmp_path / "broken", IMPATIENT, on_epoch=stop)
    resumed = run_with_rollback(Dies, source, target, tmp_path / "broken", IMPATIENT)
    assert resumed.rollbacks == whole.rollbacks
    _assert_same(whole.fit.lifter.state_dict(), resumed.fit.lifter.state_dict())


def test_without_hard_links_it_goes_back_all_the_same(source, target, tmp_path, monkeypatch) -> None:
    linked = run_with_rollback(Dies, source, target, tmp_path / "linked", IMPATIENT)

    def refuse(existing, place) -> None:
        raise OSError(errno.EPERM, "Operation not permitted", str(existing))

    monkeypatch.setattr(os, "link", refuse)
    copied = run_with_rollback(Dies, source, target, tmp_path / "copied", IMPATIENT)
    assert copied.rollbacks == linked.rollbacks
    assert copied.rollbacks[0].to_epoch == 3
    _assert_same(linked.fit.lifter.state_dict(), copied.fit.lifter.state_dict())
    assert not list((tmp_path / "copied").glob(".*.new"))


def test_gives_up_after_the_last_rollback(source, target, tmp_path) -> None:
    class AlwaysDies(Dies):
        tries = 99

    config = changed(IMPATIENT, collapse={**IMPATIENT.collapse.model_dump(), "rollbacks": 2})
    with pytest.raises(CollapseError, match="Lower the adversary's learning_rate"):
        run_with_rollback(AlwaysDies, source, target, tmp_path, config)
    assert len(read_rollbacks(tmp_path)) == 2
    assert (tmp_path / STATE_FILE).exists()


def test_several_processes_are_refused(source, target) -> None:
    from poseshift.training.fit import _stateful

    with pytest.raises(ValueError, match="PoseDA learns from the batches of one process"):
        _stateful((PoseDA(SMALL, source, target, seed=0),), None, 2)


def test_shares_must_leave_time() -> None:
    with pytest.raises(ValidationError, match="leave no step"):
        PoseDAConfig(pretraining=0.7, warmup=0.3)


def test_the_target_keeps_its_3d_to_itself(make_columns, draw_people, wide_camera, source, tmp_path) -> None:
    """The same run comes out when the target's 3D is not there."""
    people = draw_people(np.random.default_rng(2), 30, depth=6.0)
    poses = make_columns(people, (wide_camera,), np.zeros(30, dtype=np.int32))
    blind = dataclasses.replace(poses, positions_camera=np.full_like(poses.positions_camera, np.nan))
    runs = [
        train(source, TargetKeypoints.from_poses(one), tmp_path / name, SMALL)[0]
        for name, one in (("seeing", poses), ("blind", blind))
    ]
    _assert_same(*(run.lifter.state_dict() for run in runs))
