"""One standing body: how soft pictures become hard, and which girth each loss takes for the best."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from benchmarks.rendering.clothing import clothed
from benchmarks.rendering.zbuffer import NOTHING, hard_labels
from torch import Tensor
from torch.nn.functional import one_hot

from poseshift.geometry.skeleton import HUMAN36M_17
from poseshift.training.prediction.mask_targets import BARE
from poseshift.training.rendering.body_model import PARTS
from poseshift.training.rendering.capsule_body import CapsuleBody
from poseshift.training.rendering.losses import clothed_loss, iou_loss, minimally_clothed_loss
from poseshift.training.rendering.rasteriser import Rendered, Softness, rasterise, to_ndc

STANDING = (
    *((0.0, 0.0, 0.0), (-0.13, 0.0, 0.0), (-0.16, 0.44, -0.05), (-0.14, 0.88, 0.06)),
    *((0.13, 0.01, 0.02), (0.17, 0.43, 0.1), (0.19, 0.86, 0.22)),
    *((0.01, -0.23, 0.0), (0.0, -0.48, 0.02), (0.01, -0.56, -0.06), (0.0, -0.68, 0.01)),
    *((0.17, -0.46, 0.0), (0.31, -0.22, -0.06), (0.2, 0.0, -0.3)),
    *((-0.17, -0.45, 0.0), (-0.36, -0.3, 0.05), (-0.5, -0.12, 0.0)),
)
"""A pose of human36m_17 in camera axes, relative to the pelvis, metres."""

SIZE_PX = 64
SHOWN = tuple(1 + PARTS.index(part) for part in PARTS if part in BARE)
WORN = tuple(1 + number for number, part in enumerate(PARTS) if part == "torso" or "upper_leg" in part)
_AWAY_M = 4.0
_FOCAL = 2.1 * SIZE_PX


def seen(girths: Tensor) -> tuple[CapsuleBody, Tensor, Tensor]:
    """Give the body, and its vertices' pixels and depths, with each of the girths (n,)."""
    body = CapsuleBody(HUMAN36M_17, torch.tensor(STANDING, dtype=girths.dtype))
    joints = body.rest + girths.new_tensor([0.0, -0.1, _AWAY_M])
    vertices = body.on_joints(
        joints.expand(len(girths), -1, -1), girths[:, None].expand(-1, body.bones)
    ).vertices
    return body, _FOCAL * vertices[..., :2] / vertices[..., 2:] + SIZE_PX / 2, vertices[..., 2]


def draw(girths: Tensor, softness: Softness) -> Rendered:
    """Soft pictures with each of the girths (n,)."""
    body, pixels, depth = seen(girths)
    size = (SIZE_PX, SIZE_PX)
    return rasterise(to_ndc(pixels, size), depth, body.faces, body.priors, size, softness)


@torch.no_grad()
def print_softness() -> None:
    """Compare soft pictures with that of a z-buffer."""
    body, pixels, depth = seen(torch.ones(1, dtype=torch.float64))
    part = body.priors.argmax(dim=1).numpy()
    hard = torch.as_tensor(
        hard_labels(pixels[0].numpy(), depth[0].numpy(), body.faces.numpy(), part, (SIZE_PX, SIZE_PX))
    )
    mask = (hard != NOTHING).double()[None]
    print("| sigma | IoU of the silhouette | labels that agree |\n|---:|---:|---:|")
    for sigma in (1e-3, 1e-4, 1e-5, 1e-6):
        drawn = draw(torch.ones(1, dtype=torch.float64), Softness(sigma, gamma=1e-3))
        overlap = 1 - float(iou_loss(drawn.silhouette, mask))
        agree = float((drawn.distribution[0].argmax(dim=0) - 1 == hard).double().mean())
        print(f"| {sigma:g} | {overlap:.3f} | {100 * agree:.1f} % |")
    print()


@torch.no_grad()
def print_girths() -> None:
    """Find the girth at which each loss is least, for a bare and a dressed truth of girth 1."""
    girths = torch.arange(0.7, 2.01, 0.025)
    softness = Softness.of_pixels(SIZE_PX)
    truth = draw(torch.ones(1), softness).distribution
    begun = time.process_time()
    candidates = torch.split(draw(girths, softness).distribution, 1)
    each = (time.process_time() - begun) / len(girths)
    labels = truth[0].argmax(dim=0).numpy()
    targets = [
        one_hot(torch.as_tensor(some), 1 + len(PARTS)).permute(2, 0, 1)[None].float()
        for some in (labels, clothed(labels, WORN, 2.0, background=0))
    ]
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "silhouette": lambda one, given: iou_loss(one[:, 1:].sum(dim=1), given[:, 1:].sum(dim=1)),
        "DSR-C": clothed_loss,
        "DSR-C without label noise": lambda one, given: clothed_loss(one, given, noise=1e-5),
        "DSR-MC": lambda one, given: minimally_clothed_loss(one, given, SHOWN),
        "DSR-MC and DSR-C": lambda one, given: (
            clothed_loss(one, given) + minimally_clothed_loss(one, given, SHOWN)
        ),
    }
    print("| least at girth | bare | dressed |\n|---|---:|---:|")
    for name, loss in losses.items():
        best = (
            float(girths[int(torch.stack([loss(one, given) for one in candidates]).argmin())])
            for given in targets
        )
        print(f"| {name} | {' | '.join(f'{girth:.2f}' for girth in best)} |")
    print(f"\n{1000 * each:.0f} ms of processor time for a picture of {SIZE_PX} px, no gradient")
