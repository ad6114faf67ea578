"""Standing people of capsules, and what a square camera sees of them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.training.rendering.body_model import Posed
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.rasteriser import Rendered, Softness, rasterise, to_ndc

See = Callable[[Posed, int], tuple[Tensor, Tensor]]
Draw = Callable[..., Rendered]

STANDING = (
    *((0.0, 0.0, 0.0), (-0.13, 0.0, 0.0), (-0.16, 0.44, -0.05), (-0.14, 0.88, 0.06)),
    *((0.13, 0.01, 0.02), (0.17, 0.43, 0.1), (0.19, 0.86, 0.22)),
    *((0.01, -0.23, 0.0), (0.0, -0.48, 0.02), (0.01, -0.56, -0.06), (0.0, -0.68, 0.01)),
    *((0.17, -0.46, 0.0), (0.31, -0.22, -0.06), (0.2, 0.0, -0.3)),
    *((-0.17, -0.45, 0.0), (-0.36, -0.3, 0.05), (-0.5, -0.12, 0.0)),
)
"""One pose of human36m_17 in camera axes, relative to the pelvis; no two joints are at one depth."""


@pytest.fixture(scope="session")
def body() -> CapsuleBody:
    """Capsules whose rest is a standing person."""
    return CapsuleBody(HUMAN36M_17, torch.tensor(STANDING))


@pytest.fixture(scope="session")
def see() -> See:
    """Pixels and depths of a body four metres before a camera that it just fills."""

    def seen(posed: Posed, size_px: int) -> tuple[Tensor, Tensor]:
        points = posed.vertices + posed.vertices.new_tensor([0.0, -0.1, 4.0])
        focal = 2.1 * size_px
        return focal * points[..., :2] / points[..., 2:] + size_px / 2, points[..., 2]

    return seen


@pytest.fixture(scope="session")
def draw(body: CapsuleBody, see: See) -> Draw:
    """Soft pictures of the standing person, one for each girth."""

    def drawn(girths: Tensor, size_px: int, softness: Softness | None = None) -> Rendered:
        joints = body.rest.to(girths).expand(len(girths), -1, -1)
        pixels, depth = see(body.on_joints(joints, girths.expand(-1, body.bones)), size_px)
        return rasterise(
            to_ndc(pixels, (size_px, size_px)),
            depth,
            body.faces,
            body.priors.to(girths),
            (size_px, size_px),
            softness or Softness.of_pixels(size_px),
        )

    return drawn
