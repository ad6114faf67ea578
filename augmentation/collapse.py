"""Signs that adversarial augmentation has collapsed: how they are measured, and when they count.

Three things go wrong with generators: a discriminator is always right, and teaches nothing any more; the
parameters become the same for every pose; the augmented poses become the same. The last is measured by
nearest-neighbour distances of bone vectors, relative to those among the source's own poses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from torch import Tensor

from poseshift.augmentation.transforms import PoseParameters
from poseshift.storage.model import FrozenModel


class CollapseConfig(FrozenModel):
    """When a run counts as collapsed, and how often it may go back."""

    check_every: int = Field(default=50, ge=1, description="Steps of the generator between two checks.")
    samples: int = Field(default=512, ge=2, description="Poses looked at in a check.")
    patience: int = Field(
        default=3, ge=1, description="Successive checks that must find the same sign before it counts."
    )
    largest_accuracy: float = Field(
        default=0.995,
        ge=0.5,
        le=1,
        description="A discriminator that is right more often has won; 1: never.",
    )
    patience_with_winners: int = Field(
        default=20,
        ge=1,
        description="The same for a discriminator that has won, from which generators do recover.",
    )
    smallest_angle_spread: float = Field(
        default=0.01, ge=0, description="Least standard deviation of the offsets of unit bone vectors."
    )
    smallest_gain_spread: float = Field(
        default=0.001, ge=0, description="Least standard deviation of the relative changes of length."
    )
    smallest_turn_spread: float = Field(
        default=0.02,
        ge=0,
        description="Least standard deviation of the rotation, radians, where there is one.",
    )
    smallest_diversity: float = Field(
        default=0.2,
        ge=0,
        description="Least median distance between nearest augmented poses, over that among source poses.",
    )
    largest_distance: float = Field(
        default=30.0,
        gt=0,
        description="Largest median distance to the nearest source pose, over that among source poses.",
    )
    rollbacks: int = Field(
        default=3, ge=0, description="Times that a run goes back to its last good state before it gives up."
    )


class Health(FrozenModel):
    """One check of the augmentation."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    step: int = Field(description="Step of the run, from 0.")
    accuracy_3d: float | None = Field(
        description="Share of poses that the discriminator of 3D judges rightly."
    )
    accuracy_2d: float | None = Field(description="The same of 2D.")
    angle_spread: float = Field(description="Standard deviation of bone-angle offsets, mean over numbers.")
    gain_spread: float = Field(description="Standard deviation of length changes, mean over groups.")
    turn_spread: float | None = Field(description="Standard deviation of the rotation, radians.")
    diversity: float = Field(
        description="Nearest-neighbour distance among augmented over among source poses."
    )
    distance: float = Field(description="Nearest-neighbour distance to source poses, in the same unit.")
    angles_by_pose: float | None = Field(
        default=None, description="Share of the bone-angle offsets' mean square that follows the pose."
    )
    angles_common: float | None = Field(
        default=None, description="Share of it that is the same for all poses; the rest is noise."
    )
    gains_by_pose: float | None = Field(
        default=None, description="Share of the length changes' mean square that follows the pose."
    )
    gains_common: float | None = Field(
        default=None, description="Share of it that is the same for all poses; the rest is noise."
    )

    def signs(self, config: CollapseConfig) -> tuple[str, ...]:
        """Name what is wrong; empty when nothing is."""
        found = []
        for winner, accuracy in zip(_WINNERS, (self.accuracy_3d, self.accuracy_2d), strict=True):
            if accuracy is not None and accuracy > config.largest_accuracy:
                found.append(winner)
        spreads = (
            ("bone angles", self.angle_spread, config.smallest_angle_spread),
            ("bone lengths", self.gain_spread, config.smallest_gain_spread),
            ("rotations", self.turn_spread, config.smallest_turn_spread),
        )
        for name, spread, smallest in spreads:
            if spread is not None and not spread >= smallest:  # not a number counts, too
                found.append(f"the {name} are all alike")
        if not self.diversity >= config.smallest_diversity:
            found.append("the augmented poses are all alike")
        if not self.distance <= config.largest_distance:
            found.append("the augmented poses are far from every source pose")
        return tuple(found)

    @property
    def finite(self) -> bool:
        """Whether everything measured is a number."""
        values = (value for value in self.model_dump().values() if value is not None)
        return all(math.isfinite(value) for value in values)


class CollapseError(RuntimeError):
    """Adversarial augmentation has collapsed.

    Attributes
    ----------
    health : Health
        The check that showed it.
    signs : tuple of str
        What was wrong in it.
    """

    def __init__(self, health: Health, signs: tuple[str, ...]) -> None:
        self.health = health
        self.signs = signs
        super().__init__(
            f"the augmentation collapsed at step {health.step}: {'; '.join(signs)}. Lower the adversary's "
            "learning_rate, regularise the discriminators, or choose `critic: none`"
        )


class Watch:
    """Counts how long each sign has lasted.

    Parameters
    ----------
    config : CollapseConfig
        When a sign counts.
    """

    def __init__(self, config: CollapseConfig) -> None:
        self.config = config
        self.history: list[Health] = []
        self._lasting: dict[str, int] = {}

    @property
    def healthy(self) -> bool:
        """Whether the last check found nothing."""
        return not self._lasting

    def look(self, health: Health) -> None:
        """Enter a check.

        Raises
        ------
        CollapseError
            When a sign has lasted for ``patience`` checks, or a measure is not a number.
        """
        self.history.append(health)
        signs = health.signs(self.config)
        self._lasting = {sign: self._lasting.get(sign, 0) + 1 for sign in signs}
        over = tuple(sign for sign, checks in self._lasting.items() if checks >= self._patience(sign))
        if over or not health.finite:
            raise CollapseError(health, over or ("the augmentation is not a number", *signs))

    def _patience(self, sign: str) -> int:
        return self.config.patience_with_winners if sign in _WINNERS else self.config.patience

    def state_dict(self) -> dict[str, Any]:
        """Give the checks so far and how long the signs have lasted."""
        return {
            "history": [health.model_dump() for health in self.history],
            "lasting": dict(self._lasting),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state."""
        self.history = [Health.model_validate(one) for one in state["history"]]
        self._lasting = dict(state["lasting"])


_WINNERS = ("the discriminator of 3D has won", "the discriminator of 2D has won")


def accuracy(real: Tensor, made: Tensor) -> float:
    """Share of scores on the right side of a half, real and made counting alike."""
    right = (real > 0.5).double().mean() + (made < 0.5).double().mean()
    return float(right) / 2


def parameter_spreads(parameters: PoseParameters) -> tuple[float, float, float]:
    """Measure how angles, gains and rotations deviate over the poses, each averaged over its numbers."""
    angle, gain, rotation = (
        float(values.detach().flatten(1).std(dim=0, correction=0).mean())
        for values in (parameters.angles, parameters.gains, parameters.axis_angle)
    )
    return angle, gain, rotation


def neighbour_ratios(augmented: NDArray[Any], source: NDArray[Any]) -> tuple[float, float]:
    """Diversity and distance of augmented poses, in nearest-neighbour distances among the source's.

    Parameters
    ----------
    augmented, source : array
        (n, features), bone vectors; at least two rows each.

    Returns
    -------
    diversity : float
        Median distance to the nearest other augmented pose, over the same among source poses.
    distance : float
        Median distance of augmented poses to the nearest source pose, over the same. Both are not a number
        when the augmented poses are not.
    """
    if not np.isfinite(augmented).all():
        return float("nan"), float("nan")
    from sklearn.neighbors import NearestNeighbors  # slow to import, needed in adversarial runs only

    of_source = NearestNeighbors(n_neighbors=1).fit(source)
    # Without an argument a point is not its own neighbour.
    among_source = float(np.median(of_source.kneighbors()[0]))
    among_augmented = float(np.median(NearestNeighbors(n_neighbors=1).fit(augmented).kneighbors()[0]))
    to_source = float(np.median(of_source.kneighbors(augmented)[0]))
    unit = max(among_source, float(np.finfo(np.float64).tiny))
    return among_augmented / unit, to_source / unit


def on_cpu(values: Tensor) -> NDArray[Any]:
    """Rows of numbers on the host, (n, features)."""
    flat: NDArray[Any] = values.detach().flatten(1).double().cpu().numpy()
    return flat
