"""Reading a store again and comparing it with what was written, and what counts as a store's content."""

from __future__ import annotations

import zarr
from pydantic import Field, ValidationError

from poseshift.geometry.camera import Camera
from poseshift.storage.arrays import array_digest, list_trials, read_array, read_attributes, trial_group
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Dataset, TrialAttributes, TrialKey
from poseshift.storage.sentences import in_sentences


class VerifyReport(FrozenModel):
    """What reading a whole snapshot again has shown."""

    snapshot: str = Field(description="The snapshot that was read.")
    trials: int = Field(description="Number of trials read.")
    arrays: int = Field(description="Number of arrays read.")
    problems: tuple[str, ...] = Field(
        description="One sentence for every array that is not as it was written."
    )

    @property
    def succeeded(self) -> bool:
        """Whether everything is as it was written."""
        return not self.problems


class TrialContent(FrozenModel):
    """The part of a trial that its data set determines, with arrays as their digests."""

    action: str
    subaction: str
    fps: float
    cameras: tuple[Camera, ...]
    arrays: dict[str, str]

    @classmethod
    def of(cls, attributes: TrialAttributes) -> TrialContent:
        """Take the content out of a trial's attributes."""
        return cls(
            action=attributes.action,
            subaction=attributes.subaction,
            fps=attributes.fps,
            cameras=attributes.cameras,
            arrays=attributes.digests,
        )


class StoreContent(FrozenModel):
    """What a store holds, whenever and by whomever it was written."""

    dataset: Dataset
    skeleton: str
    trials: dict[str, TrialContent]


def verify_trials(root: zarr.Group, snapshot: str) -> VerifyReport:
    """Read every array below ``root`` and compare it with its stored digest; every mismatch is named."""
    problems: list[str] = []
    keys = tuple(list_trials(root))
    arrays = 0
    for key in keys:
        found, count = _verify_trial(root, key)
        problems += found
        arrays += count
    return VerifyReport(snapshot=snapshot, trials=len(keys), arrays=arrays, problems=tuple(problems))


def _verify_trial(root: zarr.Group, key: TrialKey) -> tuple[list[str], int]:
    """Problems of one trial, and the number of its arrays."""
    group = trial_group(root, key)
    present = set(group.array_keys())
    try:
        digests = read_attributes(group).digests
    except ValidationError as error:
        return [f"{key.path}: attributes are not those of a trial ({in_sentences(error)})"], len(present)
    problems = [
        f"{key.path}/{name}: there is no digest of this array" for name in sorted(present - set(digests))
    ]
    for name, expected in sorted(digests.items()):
        if name not in present:
            problems.append(f"{key.path}/{name}: the array is missing")
            continue
        try:
            found = array_digest(read_array(group, name))
        except Exception as error:
            problems.append(f"{key.path}/{name}: cannot be read ({error})")
            continue
        if found != expected:
            problems.append(f"{key.path}/{name}: sha256 is {found}; {expected} was written")
    return problems, len(present)
