"""A method's :class:`poseshift.adaptation.parts.Parts`, from its settings."""

from __future__ import annotations

from poseshift.adaptation.config import (
    Adaptation,
    PoseDAAdaptation,
    SelfTrainingAdaptation,
    alignment_of,
)
from poseshift.adaptation.parts import Labels, Parts
from poseshift.adaptation.viewpoint import (
    AlignedViewpoint,
    FoundViewpoint,
    JitteredViewpoint,
    KnownViewpoint,
    PseudoLabelledViewpoint,
    RandomViewpoint,
    Viewpoint,
)
from poseshift.augmentation.conditional_generator import ConditionalGeneratorConfig
from poseshift.augmentation.detector_noise import NO_NOISE, DetectorNoise, NoiseFitted, NoiseFixed
from poseshift.training.answer import Rays, RaysBlend
from poseshift.training.encoding import EncodingName


def parts_of(
    labels: Labels,
    adaptation: Adaptation,
    encoding: EncodingName,
    rays: Rays,
    detector_noise: DetectorNoise = NO_NOISE,
) -> Parts:
    """Say what a method is made of.

    Parameters
    ----------
    labels : Labels
        Whose 3D is learned.
    adaptation : Adaptation
        How the labelled poses are moved.
    encoding : EncodingName
        How pixels become the network's input.
    rays : Rays
        Whether answers are put on the rays of their keypoints.
    detector_noise : DetectorNoise
        A detector's errors on the labelled keypoints.
    """
    aligned = alignment_of(adaptation)
    return Parts(
        encoding=encoding,
        placement=_placement(labels, adaptation),
        viewpoint="as in the data" if aligned is None else _viewpoint(adaptation, aligned.viewpoint),
        augmentation=_augmentation(adaptation),
        rays=_rays(rays),
        noise=_noise(detector_noise),
        tuning="none" if aligned is None or aligned.tuning is None else aligned.tuning.words,
    )


def _rays(rays: Rays) -> str:
    near = isinstance(rays, RaysBlend) and rays.farthest is not None
    kind = f"{rays.kind} where near" if near else rays.kind
    return f"{kind}, in the loss" if rays.in_loss else kind


def _noise(noise: DetectorNoise) -> str:
    if isinstance(noise, NoiseFixed):
        return f"fixed: {noise.errors.words}"
    if isinstance(noise, NoiseFitted):
        least = f", spread at least {100 * noise.least_spread:g} %" if noise.least_spread else ""
        return f"fitted to the target's keypoints{least}"
    return "off"


def _placement(labels: Labels, adaptation: Adaptation) -> str:
    aligned = alignment_of(adaptation)
    if aligned is None:
        return {"source": "source", "target": "target", "source_in_target": "target cameras"}[labels]
    if isinstance(adaptation, PoseDAAdaptation) and adaptation.options.placement == "learned":
        return "learned, source cameras"
    form = "" if aligned.options.root_form == "ray" else f", {aligned.options.root_form} roots"
    if aligned.positions != "target":
        form += {"source": ", source's own keypoints", "both": ", both keypoints"}[aligned.positions]
    copied = {
        "root_and_scale": "GPA",
        "root_only": "GPA, root alone",
        "scale_only": "GPA, scale alone",
        "random_uniform": "random in GPA's range",
    }[aligned.options.copied]
    return copied + form


def _viewpoint(adaptation: Adaptation, viewpoint: Viewpoint) -> str:
    if isinstance(adaptation, SelfTrainingAdaptation):
        options = adaptation.options
        own = f", {100 * options.own:g} % pseudo-poses themselves" if options.own > 0 else ""
        return f"{_turned(viewpoint)}; {100 * options.transferred:g} % turned as pseudo-poses{own}"
    return _turned(viewpoint)


def _turned(viewpoint: Viewpoint) -> str:
    if isinstance(viewpoint, RandomViewpoint):
        (low, high), (left, right) = viewpoint.pitch_degrees, viewpoint.roll_degrees
        return f"random, pitch {low:g} to {high:g}°, roll {left:g} to {right:g}°"
    if isinstance(viewpoint, JitteredViewpoint):
        return f"tilted by {viewpoint.deviation_degrees:g}°"
    if isinstance(viewpoint, KnownViewpoint):
        return "aligned, known gravity"
    if isinstance(viewpoint, AlignedViewpoint):
        return "aligned, learned gravity"
    if isinstance(viewpoint, PseudoLabelledViewpoint):
        return "aligned, pseudo-labels"
    if isinstance(viewpoint, FoundViewpoint):
        kinds = " or ".join(viewpoint.gravity)
        tilted = f", tilted by {viewpoint.jitter_degrees:g}°" if viewpoint.jitter_degrees else ""
        return f"within the interval of {kinds} gravity{tilted}, random above {viewpoint.widest_degrees:g}°"
    return "as in the data"


def _augmentation(adaptation: Adaptation) -> str:
    aligned = alignment_of(adaptation)
    if aligned is None or aligned.bodies is None:
        return _changes(adaptation)
    bodies = aligned.bodies
    return (
        f"bodies: stature {bodies.stature_spread:g}, proportions {bodies.proportion_spread:g}, joints "
        f"{1000 * bodies.joint_spread_m:g} mm; {_changes(adaptation)}"
    )


def _changes(adaptation: Adaptation) -> str:
    if isinstance(adaptation, PoseDAAdaptation):
        judge = {"parts": "D-a", "pairs": "D-b", "none": "no discriminator"}[
            adaptation.options.discriminator.critic
        ]
        generator = adaptation.options.generator
        if isinstance(generator, ConditionalGeneratorConfig):
            return (
                f"learned from random: angles {generator.angle_spread:g}, lengths "
                f"{generator.length_range:g}; random {generator.rotation.replace('_', ' ')} turns; {judge}"
            )
        what = {
            "angles_and_lengths": ["bone angles and lengths"],
            "angles": ["bone angles"],
            "lengths": ["bone lengths"],
            "none": [],
        }[generator.bones]
        turns = [] if generator.rotation == "none" else [f"{generator.rotation.replace('_', ' ')} turns"]
        return f"learned: {', '.join([*what, *turns]) or 'nothing'}; {judge}"
    aligned = alignment_of(adaptation)
    if aligned is not None and aligned.augmentation is not None:
        random = aligned.augmentation
        return (
            f"random: angles {random.angle_spread:g}, lengths {random.length_range:g}, "
            f"{random.rotation.replace('_', ' ')} turns"
        )
    return "none"
