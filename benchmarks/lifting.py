"""What a frame costs: parameters, multiply-adds and processor time of lifters, on one thread.

``python -m benchmarks.lifting`` measures the small presets; ``--lifter PRESET`` picks some. A lifter of the
middle frame is shown a clip about every frame; one that answers for all frames, windows that do not overlap.
"""

from __future__ import annotations

import argparse
import statistics
from time import process_time

import torch

from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import build, describe_config, preset, presets

CHANNELS, CLIPS, REPEATS = 2, 32, 5


def seconds(lifter: Lifter, *, training: bool) -> float:
    """Processor time of a clip: the median of some batches; for training, forward and backward."""
    clips = torch.randn(CLIPS, lifter.frames, lifter.joints, CHANNELS)
    lifter.train(training)
    measured = []
    for _ in range(1 + REPEATS):
        started = process_time()
        if training:
            lifter(clips).square().mean().backward()
        else:
            with torch.inference_mode():
                lifter(clips)
        measured.append(process_time() - started)
    return statistics.median(measured[1:]) / CLIPS


def main() -> None:
    """Measure one lifter after the other."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lifter", action="append")
    given = options.parse_args()
    torch.set_num_threads(1)
    print(
        "| lifter | frames | answers | parameters | multiply-adds a frame | ms a frame | ms to learn a clip |"
    )
    print("|---|---:|---|---:|---:|---:|---:|", flush=True)
    for name in given.lifter or [one for one in presets() if one.endswith("-small")]:
        lifter, sizes = build(preset(name), CHANNELS, seed=0), describe_config(name, preset(name))
        answered = lifter.frames if lifter.output == "all" else 1
        frame_ms = 1000 * seconds(lifter, training=False) / answered
        clip_ms = 1000 * seconds(lifter, training=True)
        print(
            f"| `{name}` | {lifter.frames} | {lifter.output} | {sizes.parameters:,} "
            f"| {sizes.multiply_adds / answered:,.0f} | {frame_ms:.3f} | {clip_ms:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
