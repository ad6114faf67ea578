"""Weights that a training starts from: those of a trained lifter, to pre-train and then adapt."""

from __future__ import annotations

from pathlib import Path

from poseshift.storage.model import FrozenModel
from poseshift.storage.provenance import digest_file
from poseshift.training.checkpoint import WEIGHTS_FILE, describe_lifter, load_lifter
from poseshift.training.encoding import EncodingName
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.lifter import Lifter
from poseshift.training.lifters.registry import skeleton_of
from poseshift.training.shipped import lifter_folder


class InitialWeights(FrozenModel):
    """A trained lifter as an input of another training: its content, and nothing of where it lies."""

    weights_sha256: str
    """Digest of its weights."""
    lifter: LifterConfig
    """The network that they are for."""
    encoding: EncodingName
    """The encoding that it was trained with."""
    skeleton: str
    """Joint set of its input and output."""


def describe_initial(folder: Path) -> InitialWeights:
    """Read what a trained lifter's folder holds, or a shipped lifter of that name.

    Raises
    ------
    FileNotFoundError
        There is no lifter.
    ValueError
        Its description is not one of this version.
    """
    place = lifter_folder(folder)
    described = describe_lifter(place)
    return InitialWeights(
        weights_sha256=digest_file(place / WEIGHTS_FILE, place).sha256,
        lifter=described.lifter,
        encoding=described.encoding,
        skeleton=described.skeleton,
    )


def require_same_lifter(
    initial: InitialWeights, folder: Path, config: LifterConfig, encoding: EncodingName
) -> None:
    """Refuse weights that were trained for anything but the lifter that is to be trained.

    Parameters
    ----------
    initial : InitialWeights
        What the folder holds.
    folder : Path
        For the message.
    config : LifterConfig
        The lifter that is to be trained.
    encoding : EncodingName
        The encoding of its input.

    Raises
    ------
    ValueError
        Lifter, encoding or skeleton differ; the message says which, and how.
    """
    problems = []
    if initial.encoding != encoding:
        problems.append(f"its encoding is {initial.encoding}, not {encoding}")
    joints = skeleton_of(config)
    if initial.skeleton != joints:
        problems.append(f"its skeleton is {initial.skeleton}, not {joints}")
    theirs, ours = initial.lifter.model_dump(mode="json"), config.model_dump(mode="json")
    problems += [
        f"its lifter's {name} is {theirs.get(name)!r}, not {ours.get(name)!r}"
        for name in sorted({*theirs, *ours} - {"skeleton"})
        if theirs.get(name) != ours.get(name)
    ]
    if problems:
        raise ValueError(
            f"initial: {folder} cannot be where this training starts: {'; '.join(problems)}. "
            "Weights mean nothing to another lifter; train one of this kind first, or leave out `initial`"
        )


def start_from(lifter: Lifter, folder: Path) -> None:
    """Give a lifter that was just built the weights of a trained one of the same kind.

    Raises
    ------
    FileNotFoundError, ValueError
        There is no lifter, or its weights do not fit.
    """
    lifter.load_state_dict(load_lifter(lifter_folder(folder)).lifter.state_dict())
