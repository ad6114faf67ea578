"""Keypoints as detectors give them: per camera, the people whose tracks it saw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseshift.geometry.skeleton import mapping, skeleton
from poseshift.preprocessing.errors import RawDataError
from poseshift.storage.schema import Float32


@dataclass(frozen=True)
class Track:
    """One person in one video.

    Attributes
    ----------
    person : str
        Identity, the same in every video of a clip.
    keypoints : array of float32 of shape (frames, joints, 3)
        Pixels and confidence; confidence 0, and zeros, where a joint was not seen.
    """

    person: str
    keypoints: Float32


@dataclass(frozen=True)
class View:
    """What a detector saw in one video.

    Attributes
    ----------
    camera : str or None
        Name of the camera, where the file says it.
    size_px : tuple[int, int] or None
        Width and height of the image, where the file says it.
    skeleton : str
        Registry name of the detector's joint set.
    first_frame : int
        Number of the first frame, as the file counts them; equal numbers are of one moment.
    tracks : tuple[Track, ...]
        The people, all with the same number of frames.
    """

    camera: str | None
    size_px: tuple[int, int] | None
    skeleton: str
    first_frame: int
    tracks: tuple[Track, ...]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return max((len(track.keypoints) for track in self.tracks), default=0)


@dataclass(frozen=True)
class Sighting:
    """One person in one image, as most detectors write it.

    Attributes
    ----------
    frame : int
        Number of the frame.
    person : str or None
        Identity; None where the detector does not track.
    keypoints : array of float32 of shape (joints, 3)
        Pixels and confidence.
    score : float
        How sure the detector is of the person.
    """

    frame: int
    person: str | None
    keypoints: Float32
    score: float


ONLY_PERSON = "1"
"""Identity of the person where a detector tracks nobody and every image shows one."""


MOST_FRAMES = 1_000_000
"""Four hours at 60 frames per second; a number of an image that is damaged would ask for more memory."""


def collect(path: Path, sightings: Iterable[Sighting], joint_set: str) -> View:
    """Join the sightings of one video to tracks.

    Raises
    ------
    RawDataError
        There is nobody; an image shows several people and they have no identities, or one person twice.
    """
    seen = list(sightings)
    if not seen:
        raise RawDataError(
            path,
            found="no person in any image",
            expected="at least one",
            remedy="Run the detector on this video again, or leave the camera out.",
        )
    first = min(one.frame for one in seen)
    frames = max(one.frame for one in seen) - first + 1
    if frames > MOST_FRAMES:
        raise RawDataError(
            path,
            found=f"frames {first} to {first + frames - 1}",
            expected=f"at most {MOST_FRAMES:,} frames in a video",
            remedy="Check the numbers of the images.",
        )
    tracks: dict[str, Float32] = {}
    taken: set[tuple[str, int]] = set()
    for one in seen:
        person = ONLY_PERSON if one.person is None else one.person
        if (person, one.frame) in taken:
            raise _twice(path, one)
        taken.add((person, one.frame))
        joints = skeleton(joint_set).joints
        track = tracks.setdefault(person, np.zeros((frames, joints, 3), dtype=np.float32))
        track[one.frame - first] = cleaned(one.keypoints)
    return View(None, None, joint_set, first, tuple(Track(person, track) for person, track in tracks.items()))


def most_certain(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Keep the person with the highest score of each image, as the only person."""
    best: dict[int, Sighting] = {}
    for one in sightings:
        if one.frame not in best or one.score > best[one.frame].score:
            best[one.frame] = one
    return [Sighting(one.frame, None, one.keypoints, one.score) for one in best.values()]


def cleaned(keypoints: Float32) -> Float32:
    """Set (..., 3) keypoints to zeros where they are not finite or have no confidence."""
    seen = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] > 0)
    return np.where(seen[..., None], keypoints, np.float32(0)).astype(np.float32)


def on_human36m(keypoints: Float32, joint_set: str) -> Float32:
    """Make the 17 joints of Human3.6M of a detector's, (..., joints, 3) with the least confidence used."""
    to_human36m = mapping(joint_set, "human36m_17")
    made = np.empty((*keypoints.shape[:-2], to_human36m.target.joints, 3), dtype=np.float32)
    made[..., :2] = to_human36m.apply(keypoints[..., :2].astype(np.float64))
    for joint, parts in enumerate(to_human36m.weights):
        made[..., joint, 2] = keypoints[..., [source for source, _ in parts], 2].min(axis=-1)
    return cleaned(made)


def missing_as_nan(keypoints: Float32) -> NDArray[np.float64]:
    """Pixels (..., 2) of (..., 3) keypoints, NaN where a joint was not seen."""
    return np.where(keypoints[..., 2:] > 0, keypoints[..., :2], np.nan).astype(np.float64)


def person_size(points_px: NDArray[np.float64]) -> float:
    """Median over frames of the longer side of a person's box, pixels; NaN for nobody.

    Parameters
    ----------
    points_px : array of shape (frames, joints, 2)
        NaN where a joint was not seen.
    """
    hidden = ~np.isfinite(points_px).all(axis=-1, keepdims=True)
    frames = (~hidden).sum(axis=(1, 2)) >= 2
    if not frames.any():
        return float("nan")
    low = np.where(hidden, np.inf, points_px)[frames].min(axis=1)
    high = np.where(hidden, -np.inf, points_px)[frames].max(axis=1)
    return float(np.median((high - low).max(axis=-1)))


def _twice(path: Path, one: Sighting) -> RawDataError:
    if one.person is None:
        return RawDataError(
            path,
            found=f"several people in frame {one.frame}, without track ids",
            expected="a track id for each person, or one person per image",
            remedy="Run a tracker, or keep the most certain person of each image with --people most-certain.",
        )
    return RawDataError(
        path,
        found=f"person {one.person} twice in frame {one.frame}",
        expected="each track once per image",
        remedy="Mend the tracks, or keep the most certain person of each image with --people most-certain.",
    )
