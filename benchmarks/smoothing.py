"""What smoothing does to lifted motion: errors of place and acceleration, from noisy keypoints.

    python -m benchmarks.smoothing LIFTER STORE --subject S9 --noise-px 5

The store needs 3D. White noise is added to its ground-truth keypoints; accelerations are second differences.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.storage.reading import Selection, read_camera_poses
from poseshift.storage.store import PoseStore
from poseshift.training.checkpoint import load_lifter
from poseshift.training.prediction.smoothing import NoSmoothing, OneEuro, SavitzkyGolay, Smoothing
from poseshift.training.prediction.views import View, lift_views

Float64 = NDArray[np.float64]

CANDIDATES: tuple[Smoothing, ...] = (
    NoSmoothing(),
    *(
        SavitzkyGolay(window_s=window, degree=degree)
        for degree in (2, 3)
        for window in (0.1, 0.2, 0.3, 0.4, 0.6)
    ),
    *(
        OneEuro(lowest_cutoff_hz=cutoff, speed_share=share)
        for cutoff in (1.0, 2.0, 4.0)
        for share in (0.5, 1.5, 3.0, 6.0)
    ),
)


@dataclass(frozen=True)
class Errors:
    """Means over joints and frames of pose, root and absolute acceleration; and the harm done to true motion.

    The harm is the 99th percentile of how far the filter moves the joints of the truth itself.
    """

    mpjpe_mm: float
    root_mm: float
    acceleration_m_s2: float
    harm_mm: float


def measure(view: View, truth: Float64, smoothing: Smoothing) -> Errors:
    """Compare a smoothed view with the truth (n, joints, 3), camera axes, metres."""
    rate = view.trial.fps
    relative, root = smoothing.apply(view.relative, rate), smoothing.apply(view.root, rate)
    apart = relative - (truth - truth[:, :1])
    harm = np.linalg.norm(smoothing.apply(truth, rate) - truth, axis=-1)
    acceleration = np.diff(relative + root[:, None] - truth, n=2, axis=0) * rate**2
    return Errors(
        1000 * float(np.linalg.norm(apart, axis=-1).mean()),
        1000 * float(np.linalg.norm(root - truth[:, 0], axis=-1).mean()),
        float(np.linalg.norm(acceleration, axis=-1).mean()),
        1000 * float(np.percentile(harm, 99)),
    )


def main() -> None:
    """Measure every candidate and print one line for each."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("lifter", type=Path)
    options.add_argument("store")
    options.add_argument("--subject", action="append")
    options.add_argument("--noise-px", type=float, default=5.0)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    selection = Selection(subjects=tuple(given.subject) if given.subject else None)
    poses = read_camera_poses(PoseStore.open(given.store), selection)
    noise = np.random.default_rng(given.seed).normal(scale=given.noise_px, size=poses.keypoints_px.shape)
    noisy = replace(poses, keypoints_px=(poses.keypoints_px + noise).astype(np.float32))
    views = lift_views(load_lifter(given.lifter), noisy)
    ends = np.cumsum([len(view.frame) for view in views])
    truths = np.split(poses.positions_camera.astype(np.float64), ends[:-1])
    weights = np.array([len(view.frame) for view in views]) / len(poses)
    print(f"{len(views)} views, {len(poses)} frames, {given.noise_px:g} px")
    for smoothing in CANDIDATES:
        found = [measure(view, truth, smoothing) for view, truth in zip(views, truths, strict=True)]
        mpjpe, root, acceleration, harm = (
            float(weights @ np.array([getattr(one, name) for one in found]))
            for name in ("mpjpe_mm", "root_mm", "acceleration_m_s2", "harm_mm")
        )
        print(
            f"pose {mpjpe:6.1f} mm  root {root:6.1f} mm  acceleration {acceleration:6.1f} m/s2  "
            f"harm {harm:5.1f} mm  {smoothing.model_dump_json()}"
        )


if __name__ == "__main__":
    main()
