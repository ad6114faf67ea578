"""Methods whose own networks are small, and data of few frames, to try every part of a method in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from poseshift.adaptation.config import GlobalPositionAdaptation, PoseDAAdaptation
from poseshift.adaptation.gravity import GravityConfig
from poseshift.adaptation.method import Method
from poseshift.adaptation.methods import METHODS
from poseshift.adaptation.poseda_config import PoseDAConfig
from poseshift.adaptation.viewpoint import AlignedViewpoint
from poseshift.augmentation.collapse import CollapseConfig
from poseshift.augmentation.generator import GeneratorConfig
from poseshift.flows.benchmark.data import BenchmarkData, prepare_benchmark
from poseshift.preprocessing.motion.procedural import generate

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


def brief_data(folder: Path, frames: int) -> BenchmarkData:
    """Restage and prepare so many frames of each of nine generated people."""
    motion = folder / "motion.npz"
    motions = generate(seed=7, subjects=9, clips_per_subject=1, frames_per_clip=frames)
    np.savez(motion, **{one.name: one.positions for one in motions})
    return prepare_benchmark(str(motion), folder / "data", seed=0, split=0)
