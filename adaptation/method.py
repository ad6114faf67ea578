"""A method: what a lifter learns from, how the poses are moved, and how its input is encoded."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from poseshift.adaptation.config import (
    Adaptation,
    NoAdaptation,
    looks_at_target,
)
from poseshift.adaptation.method_parts import parts_of
from poseshift.adaptation.parts import Labels, Parts
from poseshift.augmentation.detector_noise import (
    NO_NOISE,
    DetectorNoise,
    NoiseFitted,
    NoiseOff,
    is_quiet,
)
from poseshift.storage.model import FrozenModel
from poseshift.training.answer import Rays, RaysOff
from poseshift.training.encoding import EncodingName

Role = Literal["baseline", "adapted", "reference"]
"""What a method is in a comparison: no adaptation, an adaptation, or a reference that sees target labels."""


class Method(FrozenModel):
    """One way to teach a lifter."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name in recipes, tables and folders: letters, digits, dot, dash and underscore."""
    label: str = ""
    """A few words for tables and pages; the name when left out."""
    description: str = ""
    """One sentence."""
    labels: Labels = "source"
    """Whose 3D is learned: source, target, or source_in_target (restaged benchmarks only)."""
    adaptation: Adaptation = NoAdaptation()
    """How the labelled poses are moved towards the target."""
    encoding: EncodingName = "screen"
    """How pixels become the network's input: screen, ray or perspective."""
    rays: Rays = RaysOff()
    """Whether answers are put on the rays of their keypoints: off, snap or blend."""
    detector_noise: DetectorNoise = Field(default=NO_NOISE, exclude_if=is_quiet)
    """A detector's errors on the labelled keypoints: off, fitted (to the target's), or fixed ones."""

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, content: Any) -> Any:
        if isinstance(content, dict) and "name" in content:
            return {**content, "label": content.get("label") or content["name"]}
        return content

    @model_validator(mode="after")
    def _references_are_not_adapted(self) -> Method:
        if self.labels != "source" and self.adaptation.method != "none":
            raise ValueError(
                f"method {self.name} learns the labels of {self.labels} and is a reference; it needs no "
                f"adaptation {self.adaptation.method!r}"
            )
        return self

    @model_validator(mode="after")
    def _detections_are_noisy(self) -> Method:
        if self.labels == "target" and not isinstance(self.detector_noise, NoiseOff):
            raise ValueError(
                f"method {self.name} learns the target's own keypoints, which have the detector's errors; "
                "leave out `detector_noise`"
            )
        return self

    @property
    def role(self) -> Role:
        """What it is in a comparison."""
        if self.labels != "source":
            return "reference"
        fitted = isinstance(self.detector_noise, NoiseFitted)
        return "adapted" if fitted or looks_at_target(self.adaptation) else "baseline"

    @property
    def needs_target(self) -> bool:
        """Whether it looks at the target, at its keypoints or its labels."""
        return self.role != "baseline"

    @property
    def parts(self) -> Parts:
        """What it is made of, in words."""
        return parts_of(self.labels, self.adaptation, self.encoding, self.rays, self.detector_noise)
