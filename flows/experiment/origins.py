"""What a reader of figures must know of the data: which are restaged, and whether the test was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from poseshift.flows.experiment.data import OpenData, open_poses, open_store
from poseshift.flows.experiment.recipe import Recipe
from poseshift.storage.columns import CameraPoses
from poseshift.storage.inspection import TrialIntrinsics, find_intrinsics
from poseshift.storage.model import FrozenModel
from poseshift.storage.schema import Dataset
from poseshift.storage.store import PoseStore
from poseshift.training.evaluation.protocols import protocol

Part = Literal["source", "target", "test"]

_CALLED: dict[Part, str] = {"source": "the source", "target": "the target", "test": "the test data"}


class Origin(FrozenModel):
    """Where one part of an experiment's data comes from."""

    part: Part
    """What it is to the experiment."""
    dataset: Dataset
    """Which data set."""
    restaged_from: str | None
    """The motion behind restaged data; None for recordings of the data set's own people."""


class Origins(FrozenModel):
    """Where an experiment's data come from."""

    parts: tuple[Origin, ...]
    """Source, and target and test data where there are any."""
    target_frames_tested: int
    """Frames measured under the first protocol that are frames of the target as well."""
    target_intrinsics: tuple[TrialIntrinsics, ...] = ()
    """Where the intrinsics of the target's cameras come from, for every trial that says so."""
    test_intrinsics: tuple[TrialIntrinsics, ...] = ()
    """Where the intrinsics of the test's cameras come from, for every trial that says so."""

    @property
    def motions(self) -> tuple[str, ...]:
        """Every motion behind restaged data, once."""
        return tuple(dict.fromkeys(one.restaged_from for one in self.parts if one.restaged_from is not None))


def find_origins(recipe: Recipe) -> Origins:
    """Look up where a recipe's data come from; raises what opening its stores raises."""
    source = open_store(recipe.source)
    target = None if recipe.target is None else open_poses(recipe.target)
    test = None if recipe.test is None else open_store(recipe.test.data)
    opened: list[tuple[Part, PoseStore]] = [("source", source)]
    if target is not None:
        opened.append(("target", target.store))
    if test is not None:
        opened.append(("test", test))
    return Origins(
        parts=tuple(
            Origin(part=part, dataset=store.dataset, restaged_from=store.attributes.restaged_from)
            for part, store in opened
        ),
        test_intrinsics=() if test is None else find_intrinsics(test),
        target_intrinsics=() if target is None else find_intrinsics(target.store),
        target_frames_tested=0 if target is None or test is None else _frames_tested(target, recipe, test),
    )


_CAMERAS_OF: Mapping[str, str] = MappingProxyType({"free_motion": "human36m"})
"""Whose cameras look on, where a data set has none of its own."""


def restaging_told(origins: Origins) -> str | None:
    """Say which of the data are restaged and which are not; None where none are."""
    if not origins.motions:
        return None
    sentences = []
    for motion in origins.motions:
        parts = [one for one in origins.parts if one.restaged_from == motion]
        whose = "its" if _is_one(parts) else "their"
        datasets = _listed(list(dict.fromkeys(_CAMERAS_OF.get(one.dataset, one.dataset) for one in parts)))
        sentences.append(
            f"{_subject(parts)} restaged: {whose} motion is {motion}, put in front of the true cameras of "
            f"{datasets}."
        )
    recorded = [one for one in origins.parts if one.restaged_from is None]
    if recorded:
        sentences.append(f"{_subject(recorded)} not restaged.")
    sentences.append(
        "Restaged data are not recordings of the data set whose name they bear, and the figures are not "
        "comparable with published ones."
    )
    return " ".join(sentences)


def transduction_told(
    origins: Origins, tested: int, adapted: Sequence[str], references: Sequence[str]
) -> str | None:
    """Say that lifters have seen the frames on which they are tested; None where they have not.

    Parameters
    ----------
    origins : Origins
        Of the experiment's data.
    tested : int
        Number of frames measured under the first protocol.
    adapted, references : sequence of str
        Labels of the methods that see the target's keypoints, and of those that learn its 3D.
    """
    seen = origins.target_frames_tested
    if not seen or not (adapted or references):
        return None
    share = f"All {tested:,} tested frames" if seen == tested else f"{seen:,} of the {tested:,} tested frames"
    text = f"{share} are frames of the target as well."
    if adapted:
        text += (
            f" {_listed(adapted)} adapted to the keypoints of the very frames on which "
            f"{'it is' if len(adapted) == 1 else 'they are'} tested, so the protocol is transductive: the "
            "figures do not say how the same lifter does on frames that it has not seen."
        )
    if references:
        text += f" {_listed(references)} learned the 3D of these frames, the answers of the test."
    return text


def elsewhere_told(origins: Origins, adapted: Sequence[str]) -> str | None:
    """Say that figures are not of the target where other data are tested; None where they are of it.

    Parameters
    ----------
    origins : Origins
        Of the experiment's data.
    adapted : sequence of str
        Labels of the methods that see the target's keypoints.
    """
    datasets = {one.part: one.dataset for one in origins.parts}
    target, test = datasets.get("target"), datasets.get("test")
    if not adapted or target is None or test is None or target == test or origins.target_frames_tested:
        return None
    return (
        f"{_listed(adapted)} adapted to {target}; the figures are measured on {test} and are not figures of "
        f"{target}."
    )


def _frames_tested(target: OpenData, recipe: Recipe, test: PoseStore) -> int:
    """Count the frames of the first protocol that are among the target's."""
    # A copy of a store, or another path to it, has the same snapshot.
    if target.store.location != test.location and target.store.snapshot != test.snapshot:
        return 0
    tested = _frames_by_view(
        protocol(recipe.required_test.protocols[0]).read(test, recipe.required_test.data.keypoints)
    )
    seen = _frames_by_view(target.unlabelled())
    return sum(int(np.isin(frames, seen[view]).sum()) for view, frames in tested.items() if view in seen)


def _frames_by_view(poses: CameraPoses) -> dict[tuple[str, str], NDArray[np.int32]]:
    """Frame numbers of every trial before every camera, by the names of both."""
    return {
        (poses.trials[poses.trial[rows[0]]].key.path, poses.cameras[poses.camera[rows[0]]].name): poses.frame[
            rows
        ]
        for rows in poses.view_rows
    }


def _is_one(parts: Sequence[Origin]) -> bool:
    return len(parts) == 1 and parts[0].part != "test"


def _subject(parts: Sequence[Origin]) -> str:
    """Name parts at the head of a sentence, with their verb."""
    named = _listed([_CALLED[one.part] for one in parts])
    return f"{named[0].upper()}{named[1:]} {'is' if _is_one(parts) else 'are'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
