"""What a method is made of, in words: for tables, pages and commands. Needs no network, and no PyTorch."""

from __future__ import annotations

from typing import Literal

from poseshift.storage.model import FrozenModel

Labels = Literal["source", "target", "source_in_target"]
"""Whose 3D is learned: the source's; or, as references and not competitors, the target's own, or that of the
source's people in front of the target's cameras, which only restaged motion has."""


class Parts(FrozenModel):
    """What a method is made of, in words, for tables and pages."""

    encoding: str
    """How pixels become the network's input."""
    placement: str
    """Where the poses stand."""
    viewpoint: str
    """How they are turned before."""
    augmentation: str
    """How bodies and headings are changed."""
    rays: str
    """Whether answers are put on the rays of their keypoints."""
    noise: str = "off"
    """A detector's errors on the labelled keypoints."""
    tuning: str = "none"
    """What is learned from target keypoints alone, and whether it uses the extrinsics of their cameras."""

    def __str__(self) -> str:
        tuned = "" if self.tuning == "none" else f", tuned in the {self.tuning}"
        noisy = "" if self.noise == "off" else f", detector noise {self.noise}"
        return (
            f"encoding {self.encoding}, placement {self.placement}, viewpoint {self.viewpoint}, "
            f"augmentation {self.augmentation}, rays {self.rays}{noisy}{tuned}"
        )
