"""Steps of training make no tensor from numbers of the host, each of which a GPU would wait for."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.overrides import TorchFunctionMode, resolve_name

from poseshift.adaptation.config import Adaptation, GlobalPositionAdaptation, NoAdaptation, PoseDAAdaptation
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.tuning_config import TargetTuning
from poseshift.adaptation.viewpoint import RandomViewpoint
from poseshift.augmentation.bodies import BodyDiversity
from poseshift.augmentation.conditional_generator import ConditionalGeneratorConfig
from poseshift.augmentation.config import AdversaryConfig, FeedbackConfig, UsefulnessConfig
from poseshift.augmentation.discriminator import DiscriminatorConfig
from poseshift.augmentation.generator import GeneratorConfig, Rotations
from poseshift.augmentation.random_augmentation import RandomAugmentationConfig
from poseshift.flows.experiment.fitting import Teaching, teach
from poseshift.geometry.camera import Camera
from poseshift.storage.columns import CameraPoses
from poseshift.training.answer import RaysOff
from poseshift.training.lifters.registry import preset
from poseshift.training.losses import LossName
from poseshift.training.schedule import Schedule

DrawPeople = Callable[..., NDArray[np.float32]]
MakeColumns = Callable[[NDArray[np.float32], Sequence[Camera], NDArray[np.int32]], CameraPoses]

_MAKERS = frozenset(
    {
        torch.tensor,
        torch.as_tensor,
        torch.asarray,
        torch.from_numpy,
        torch.scalar_tensor,
        torch.Tensor.new_tensor,
    }
)
_INDEXING = frozenset({torch.Tensor.__getitem__, torch.Tensor.__setitem__})


class HostTensors(TorchFunctionMode):
    """Notes where tensors are made from Python numbers, lists or arrays: as such, and as indices."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if (
            func in _MAKERS and not any(isinstance(one, torch.Tensor) for one in _data(func, args, given))
        ) or (func in _INDEXING and any(_from_host(one) for one in args[1:])):
            own = [one for one in traceback.extract_stack()[:-1] if "poseshift" in one.filename]
            place = f"{own[-1].filename}:{own[-1].lineno}: {own[-1].line}" if own else "elsewhere"
            self.made.append(f"{resolve_name(func)} at {place}")
        return func(*args, **given)


def _data(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a tensor is made of."""
    own = args[1:] if func is torch.Tensor.new_tensor else args
    return own[:1] or (kwargs.get("data", kwargs.get("obj")),)


def _from_host(index: object) -> bool:
    """Whether an index, or a part of it, is a list or an array that becomes a tensor of indices."""
    if isinstance(index, tuple):
        return any(_from_host(one) for one in index)
    return isinstance(index, (list, range, np.ndarray))


@pytest.fixture
def data(
    draw_people: DrawPeople, make_columns: MakeColumns, square_camera: Camera, wide_camera: Camera
) -> tuple[CameraPoses, CameraPoses]:
    """A source with labels and a target without."""
    rng = np.random.default_rng(0)
    both = [
        make_columns(draw_people(rng, 64), cameras, np.repeat(np.arange(2, dtype=np.int32), 32))
        for cameras in ((square_camera, wide_camera), (wide_camera, square_camera))
    ]
    # Both cameras of the target film one trial at once, from two places.
    first, second = both[1].cameras
    apart = (first, replace(second, translation=(0.5, 0.0, 0.0)))
    filmed = replace(
        both[1],
        cameras=apart,
        trial=np.zeros(64, dtype=np.int32),
        frame=np.arange(64, dtype=np.int32) % 32,
    )
    return both[0], filmed.unlabelled()


def gpa(**options: Any) -> GlobalPositionAdaptation:
    return GlobalPositionAdaptation(**options)


def poseda(rotation: Rotations = "upright", **options: Any) -> PoseDAAdaptation:
    config = PoseDAConfig(
        pretraining=0.0, warmup=0.1, generator=GeneratorConfig(width=8, noise=4, rotation=rotation), **options
    )
    return PoseDAAdaptation(options=config)


def from_random(rotation: Rotations) -> PoseDAAdaptation:
    return PoseDAAdaptation(
        options=PoseDAConfig(
            pretraining=0.25,  # the optimisers begin in the first epoch
            pretrain_on="augmented",
            warmup=0.0,
            generator=ConditionalGeneratorConfig(width=8, rotation=rotation),
            adversary=AdversaryConfig(learn_every=1, critic_tolerance=0.2, change_centre=0.04),
            feedback=UsefulnessConfig(),
        ),
        bodies=BodyDiversity(),
    )


@pytest.mark.parametrize(
    ("adaptation", "loss"),
    [
        pytest.param(NoAdaptation(), "mpjpe", id="plain"),
        pytest.param(NoAdaptation(), "weighted-mpjpe", id="weighted loss"),
        pytest.param(gpa(), "mpjpe", id="gpa"),
        pytest.param(gpa(viewpoint=RandomViewpoint()), "mpjpe", id="viewpoint"),
        pytest.param(gpa(bodies=BodyDiversity()), "mpjpe", id="bodies"),
        pytest.param(gpa(augmentation=RandomAugmentationConfig()), "mpjpe", id="random augmentation"),
        pytest.param(
            gpa(augmentation=RandomAugmentationConfig(rotation="viewing_axis")),
            "mpjpe",
            id="random, viewing axis",
        ),
        pytest.param(gpa(tuning=TargetTuning(first=0.2, smoothness=0.1)), "mpjpe", id="tuning"),
        pytest.param(gpa(tuning=TargetTuning(first=0.2, measured="rays")), "mpjpe", id="tuning on rays"),
        pytest.param(gpa(tuning=TargetTuning(first=0.2, multi_view=0.3)), "mpjpe", id="tuning on views"),
        pytest.param(poseda(), "mpjpe", id="poseda"),
        pytest.param(poseda(feedback=FeedbackConfig(weight=1.0)), "mpjpe", id="poseda, feedback"),
        pytest.param(poseda("viewing_axis"), "mpjpe", id="poseda, viewing axis"),
        pytest.param(poseda(discriminator=DiscriminatorConfig(critic="pairs")), "mpjpe", id="poseda, pairs"),
        pytest.param(
            poseda(discriminator=DiscriminatorConfig(critic="pairs", pair_seconds=0.1)),
            "mpjpe",
            id="poseda, pairs near in time",
        ),
        pytest.param(from_random("free"), "mpjpe", id="learned from random"),
        pytest.param(from_random("upright"), "mpjpe", id="learned from random, upright"),
    ],
)
def test_no_step_but_the_first_makes_a_tensor_from_the_hosts_numbers(
    adaptation: Adaptation, loss: LossName, data: tuple[CameraPoses, CameraPoses], tmp_path: Path
) -> None:
    source, target = data
    teaching = Teaching(
        adaptation=adaptation,
        lifter=preset("simple-baseline-small"),
        encoding="screen",
        rays=RaysOff(),
        schedule=Schedule(
            epochs=3, steps_per_epoch=4, batch_size=16, loss=loss, flip_probability=0.5, precision="32-true"
        ),
        seed=0,
    )
    later: list[str] = []
    with HostTensors() as host:

        def after_epoch(log: object) -> None:
            later.extend(host.made if log.epoch > 1 else ())  # type: ignore[attr-defined]
            host.made.clear()

        teach(
            teaching,
            source,
            target,
            tmp_path,
            tmp_path / "gravity.json",
            torch.device("cpu"),
            on_epoch=after_epoch,
        )
    assert not later, "\n".join(dict.fromkeys(later))


def test_the_count_sees_what_it_is_for() -> None:
    values = torch.arange(6.0)
    with HostTensors() as host:
        values[[0, 2]], values[..., np.array([1])], values.new_tensor([1.0]), torch.tensor([1])
        values[1:3], values[None, 2], values[values > 2], torch.as_tensor(values)
        values[[1]] = 0
    assert len(host.made) == 5
