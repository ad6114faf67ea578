"""The card of an exported lifter, Markdown: what goes in and comes out, and what is behind it.

Figures are those that somebody has measured and recorded, under the name of their protocol; nothing is
measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from poseshift.geometry.skeleton import skeleton
from poseshift.training.answer import Answer, RaysBlend, RaysOff
from poseshift.training.checkpoint import TrainedLifter
from poseshift.training.encoding import EncodingName
from poseshift.training.evaluation.results import EvaluationResult
from poseshift.training.export.formats import FormatName
from poseshift.training.export.program import OUTPUT, Seen
from poseshift.training.licences import NO_ADVICE, ROLES, licence_of

_ENCODINGS: dict[EncodingName, str] = {
    "screen": "screen coordinates: pixels divided by half the image's width. Focal length and principal "
    "point do not matter to it",
    "ray": "viewing rays: pixels freed of the intrinsics",
    "perspective": "viewing rays of a camera that is turned to the person, with the person's extent",
    "perspective_per_frame": "viewing rays of a camera that is turned to the person in every frame, with the "
    "person's extent there",
    "screen_and_seen": "as `screen`, and which joints were seen",
    "ray_and_seen": "as `ray`, and which joints were seen",
    "perspective_and_seen": "as `perspective`, and which joints were seen",
    "perspective_and_known": "as `perspective`, and whether the intrinsics are known; this file says "
    "that they are",
}

_AXES = "camera axes: x right, y down, z forward"

_USES: dict[FormatName, str] = {
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession("{file}")
given = dict(keypoints_px=keypoints, focal_px=focal, centre_px=centre, size_px=size)  # float32 arrays
(positions,) = session.run(None, given)""",
    "pt2": """import torch

program = torch.export.load("{file}").module()
positions = program(keypoints, focal, centre, size)  # float32 tensors""",
}


@dataclass(frozen=True)
class Described:
    """What a card says of a file beside the lifter itself.

    Attributes
    ----------
    lifter : str
        Name or folder of the lifter.
    file : str
        Name of the file.
    kind : FormatName
        Its format.
    difference_m : float
        Largest difference from the lifter's answers that was found, metres.
    poses : int
        On how many poses.
    weights_sha256 : str
        Of the lifter's weights.
    results : sequence of EvaluationResult
        Recorded figures; empty where none are.
    own_card : str or None
        The lifter's own card, where it has one.
    """

    lifter: str
    file: str
    kind: FormatName
    difference_m: float
    poses: int
    weights_sha256: str
    results: Sequence[EvaluationResult] = ()
    own_card: str | None = None


def card(trained: TrainedLifter, described: Described) -> str:
    """Write the card of an exported lifter.

    Parameters
    ----------
    trained : TrainedLifter
        The lifter.
    described : Described
        What else there is to say.
    """
    parts = (
        f"# {described.file}\n\nA lifter from 2D keypoints of one person to 3D joints: {described.lifter}, "
        f"exported by PoseShift (`poseshift export model`).",
        _use(described),
        _inputs(trained),
        _inside(trained, described),
        _terms(trained, described),
        _figures(described),
    )
    return "\n\n".join(parts) + "\n"


def _use(described: Described) -> str:
    return f"## Use\n\n```python\n{_USES[described.kind].format(file=described.file)}\n```"


def _inputs(trained: TrainedLifter) -> str:
    lifter = trained.lifter
    frames, joints = lifter.frames, lifter.joints
    names = skeleton(lifter.skeleton).joint_names
    clip = "single frames" if frames == 1 else f"{frames} frames in a row, answered for the middle one"
    rate = trained.provenance.get("sampling_hz")
    at_rate = f" at {rate:.4g} Hz" if frames > 1 and isinstance(rate, float) else ""
    keypoints, focal, centre, size = Seen._fields
    root = names[skeleton(lifter.skeleton).root]
    corner = "pixels from the image's upper left corner, x right, y down"
    order = "\n".join(f"{number}. {name}" for number, name in enumerate(names))
    return f"""## Inputs and output

All are float32; `batch` may be any number from 1 on.

| | shape | meaning |
|---|---|---|
| `{keypoints}` | (batch, {frames}, {joints}, 2) | {corner}; {clip}{at_rate} |
| `{focal}` | (batch, 2) | focal length of each clip's camera, pixels, x then y |
| `{centre}` | (batch, 2) | principal point, pixels |
| `{size}` | (batch, 2) | width and height of the image, pixels |
| **`{OUTPUT}`** | (batch, {joints}, 3) | metres relative to {root}, in {_AXES} |

Cameras are pinholes: remove lens distortion from keypoints first (OpenCV: `undistortPoints` with `P` the
camera matrix). Every joint must be there: fill gaps over time first; a keypoint that is not a number makes an
answer that is none. The body has the size of the training's people. Where the person stands, which way is up,
and smoothing over time are not in the file; `poseshift predict` has them.

Joints, skeleton `{lifter.skeleton}`:

{order}"""


def _inside(trained: TrainedLifter, described: Described) -> str:
    name = trained.encoding.name
    parameters = sum(one.numel() for one in trained.lifter.parameters())
    apart = f"at most {described.difference_m:.1e} m apart in any coordinate"
    return f"""## What is inside

- **Encoding** `{name}`: {_ENCODINGS[name]}.
- **Network** `{trained.config.name}`, {parameters:,} parameters; SHA-256 of its weights
  `{described.weights_sha256}`.
- **Answer**: {_answer(trained.answer)}
- One pass. `poseshift predict` and some protocols average with the answer to the mirror image; this does not.
- Compared with the lifter on {described.poses:,} drawn poses: {apart}."""


def _answer(answer: Answer) -> str:
    if isinstance(answer.rays, RaysOff):
        told = "as the network gives it"
    elif isinstance(answer.rays, RaysBlend):
        told = (
            f"joints between the network's place and the ray of their keypoint, for keypoints wrong by "
            f"{answer.rays.noise_px:g} px of an image 1000 px wide"
        )
    else:
        told = "joints on the rays of their keypoints"
    if not isinstance(answer.rays, RaysOff) and answer.rays.body == "view":
        told += (
            "; each frame by itself: `poseshift predict` also gives all frames of a view one body's bones "
            "(`body: view`), which needs all of them and is not in this file"
        )
    if answer.largest_body_m is None:
        return f"{told}."
    return f"{told}; bodies of more than {answer.largest_body_m:.2f} m of bones in sum are made smaller."


def _terms(trained: TrainedLifter, described: Described) -> str:
    found = licence_of(described.lifter, trained.provenance)
    rows = "\n".join(
        f"- {ROLES[part.data.role]}: {part.data.told}. **{part.terms.use}**: {part.terms.text}"
        + ("" if part.terms.source is None else f" <{part.terms.source}>")
        for part in found.parts
    )
    return f"## Data behind it, and their terms: {found.use}\n\n{rows}\n\n{NO_ADVICE}"


def _figures(described: Described) -> str:
    if described.results:
        rows = "\n".join(
            f"| {one.protocol} | {one.frames:,} | {one.mpjpe_mm.value:.1f} | {one.pa_mpjpe_mm.value:.1f} "
            f"| {one.snapshot} |"
            for one in described.results
        )
        table = f"""Of the lifter's run, one seed; a protocol may average with the mirror image.

| protocol | frames | MPJPE, mm | PA-MPJPE, mm | test snapshot |
|---|---:|---:|---:|---|
{rows}"""
    else:
        table = "None is recorded by a protocol for these weights."
    own = ""
    if described.own_card is not None:
        quoted = "\n".join(f"> {line}".rstrip() for line in described.own_card.rstrip().splitlines())
        own = f"\n\nThe lifter's own card says:\n\n{quoted}"
    return f"## Figures\n\n{table}{own}"
