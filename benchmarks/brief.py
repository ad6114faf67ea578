"""Methods whose own networks are small and learn for a few steps, to try every part of them in a second."""

from __future__ import annotations

from poseshift.adaptation.config import GlobalPositionAdaptation, PoseDAAdaptation
from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.viewpoint import AlignedViewpoint
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.generator import GeneratorConfig

VIEWPOINT = AlignedViewpoint(gravity=GravityConfig(steps=3, width=32, batch_size=32))
POSEDA = PoseDAConfig(
    placement="kept",
    pretraining=0.0,
    warmup=0.2,
    generator=GeneratorConfig(width=8, noise=4),
    collapse=CollapseConfig(check_every=2),
)


def brief(name: str) -> Method:
    """Find a method and make its networks small; its parts are those of the method."""
    method = METHODS[name]
    adaptation = method.adaptation
    if isinstance(adaptation, PoseDAAdaptation):
        placement = adaptation.options.placement
        viewpoint = VIEWPOINT if adaptation.viewpoint.kind == "aligned" else adaptation.viewpoint
        options = POSEDA.model_copy(update={"placement": placement})
        adaptation = PoseDAAdaptation(options=options, viewpoint=viewpoint)
    elif isinstance(adaptation, GlobalPositionAdaptation) and adaptation.viewpoint.kind == "aligned":
        adaptation = adaptation.model_copy(update={"viewpoint": VIEWPOINT})
    return method.model_copy(update={"adaptation": adaptation})
