"""Motion for a machine that has no data: seeded bodies doing seeded actions.

Plausible rather than captured: it has the poses, heights, headings and speeds that a lifter has to see,
within joint limits and with feet that stand, but not the habits of real people. Figures obtained on it say
how the system behaves, not how a method ranks.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from poseshift.preprocessing.motion.actions import ACTIONS
from poseshift.preprocessing.motion.body import Body, Controls, pose, sample_body
from poseshift.preprocessing.motion.motion import FRAME_RATE_HZ, Motion

SUBJECTS = 21
"""As many as the two data sets have together: 7 of Human3.6M, 8 and 6 of MPI-INF-3DHP."""

CLIPS_PER_SUBJECT = 6
FRAMES_PER_CLIP = 260

# Made and cut off again at both ends, where a path has no footholds before or after.
MARGIN = 30


def generate(
    seed: int,
    *,
    subjects: int = SUBJECTS,
    clips_per_subject: int = CLIPS_PER_SUBJECT,
    frames_per_clip: int = FRAMES_PER_CLIP,
) -> tuple[Motion, ...]:
    """Make the clips of a seed.

    Every subject draws from its own stream, so that asking for fewer subjects or clips gives the same
    beginning. Actions are dealt like cards: no subject repeats one before it has done them all.

    Parameters
    ----------
    seed : int
        The same seed gives the same bytes.
    subjects, clips_per_subject, frames_per_clip : int
        How much; by default some 33,000 frames at 50 Hz.

    Returns
    -------
    motions : subject by subject.
    """
    motions = []
    names = tuple(ACTIONS)
    for index in range(subjects):
        rng = np.random.default_rng([seed, index])
        body = sample_body(rng)
        deck = np.concatenate(
            [rng.permutation(len(names)) for _ in range(-(-clips_per_subject // len(names)))]
        )
        for clip, action in enumerate(deck[:clips_per_subject]):
            stream = np.random.default_rng([seed, index, clip])
            motions.append(_clip(f"proc{index + 1:02d}", body, names[action], clip, stream, frames_per_clip))
    return tuple(motions)


def _clip(subject: str, body: Body, action: str, clip: int, rng: np.random.Generator, frames: int) -> Motion:
    controls = ACTIONS[action](rng, body, frames + 2 * MARGIN)
    positions = pose(body, _middle(controls))
    name = f"{subject}/{action}/{clip + 1:02d}"
    return Motion(name, subject, action, FRAME_RATE_HZ, positions.astype(np.float32))


def _middle(controls: Controls) -> Controls:
    return Controls(
        **{field.name: getattr(controls, field.name)[MARGIN:-MARGIN] for field in fields(Controls)}
    )
