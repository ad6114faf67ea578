"""Files of a training run: the trained lifter (safetensors and JSON) and the state to resume from.

A trained lifter is a folder with ``lifter.safetensors`` and ``lifter.json`` (configuration, encoding,
skeleton, provenance); nothing in it can run code when it is loaded. The resume state is a torch file of
tensors and plain numbers, read with ``weights_only=True``. Both are written beside their place and moved
there, so that a crash leaves the old file or the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field, JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel, is_left_out
from poseshift.storage.sentences import in_sentences
from poseshift.training.answer import PLAIN, Answer
from poseshift.training.encoding import Encoding, EncodingName, encoding
from poseshift.training.lifters.config import LifterConfig
from poseshift.training.lifters.lifter import Lifter, ScaledLifter
from poseshift.training.lifters.registry import build

WEIGHTS_FILE = "lifter.safetensors"
DESCRIPTION_FILE = "lifter.json"


class LearnedScale(FrozenModel):
    """What is known of a lifter that has learned to tell how far its joints may be off."""

    beside_rays: float | None = None
    """How far joints lie beside their rays on the source, over the scale: the reference by which
    :mod:`poseshift.training.evaluation.recalibration` recalibrates before other cameras. None for none."""


class LifterFile(FrozenModel):
    """The JSON beside a lifter's weights."""

    format: Literal["poseshift-lifter"] = "poseshift-lifter"
    format_version: Literal[1] = 1
    lifter: LifterConfig
    encoding: EncodingName
    answer: Answer = Answer()
    skeleton: str
    scale: LearnedScale | None = Field(default=None, exclude_if=is_left_out)
    provenance: dict[str, JsonValue]


@dataclass(frozen=True)
class TrainedLifter:
    """A lifter with what is needed to use it.

    Attributes
    ----------
    lifter : Lifter
        In evaluation mode, on the device asked for.
    encoding : Encoding
        The one that it was trained with.
    config : LifterConfig
        What it was built from.
    provenance : Mapping[str, JsonValue]
        How it came about: recipe, data snapshot, seed, versions.
    answer : Answer
        What is done to the network's output.
    scale : LearnedScale or None
        What is known of the scale of its joints; None where it has learned none.
    """

    lifter: Lifter
    encoding: Encoding
    config: LifterConfig
    provenance: Mapping[str, JsonValue]
    answer: Answer = field(default_factory=Answer)
    scale: LearnedScale | None = None

    @property
    def scaled(self) -> ScaledLifter:
        """The lifter, one that has learned how far its joints may be off; ValueError where it has not."""
        if self.scale is None or not isinstance(self.lifter, ScaledLifter):
            raise ValueError(
                f"this lifter ({self.config.name}) has not learned how far its joints may be off; train "
                "gumlp, or PRESET+scale, with `loss: laplace-nll` in the schedule"
            )
        return self.lifter

    @property
    def clip_hz(self) -> float | None:
        """Frames per second of the clips that were learned; None for single frames or where it is unknown."""
        hz = self.provenance.get("sampling_hz")
        return float(hz) if self.lifter.frames > 1 and isinstance(hz, int | float) else None


def save_lifter(
    folder: Path,
    config: LifterConfig,
    encoding_name: EncodingName,
    lifter: Lifter,
    provenance: Mapping[str, JsonValue],
    answer: Answer = PLAIN,
    scale: LearnedScale | None = None,
) -> None:
    """Write a trained lifter to a folder, making it if need be.

    Parameters
    ----------
    folder : Path
        An earlier lifter there is replaced.
    config : LifterConfig
        What the lifter was built from.
    encoding_name : EncodingName
        The encoding that it was trained with.
    lifter : Lifter
        Its weights and buffers are written, from any device.
    provenance : Mapping[str, JsonValue]
        Anything that JSON can hold.
    answer : Answer
        What is done to the network's output.
    scale : LearnedScale or None
        What is known of the scale of its joints.
    """
    folder.mkdir(parents=True, exist_ok=True)
    description = LifterFile(
        lifter=config,
        encoding=encoding_name,
        answer=answer,
        skeleton=lifter.skeleton,
        scale=scale,
        provenance=dict(provenance),
    )
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in lifter.state_dict().items()}
    write_atomically(folder / WEIGHTS_FILE, save(weights))
    write_atomically(folder / DESCRIPTION_FILE, description.model_dump_json(indent=2).encode() + b"\n")


def describe_lifter(folder: Path) -> LifterFile:
    """Read what the JSON of a trained lifter says, and leave the weights alone.

    Raises
    ------
    FileNotFoundError
        When the folder does not hold a lifter.
    ValueError
        When its description is not valid.
    """
    description = folder / DESCRIPTION_FILE
    for path in (description, folder / WEIGHTS_FILE):
        if not path.is_file():
            raise FileNotFoundError(
                f"{folder} is not a trained lifter: {path.name} is missing; give the `lifter` folder that a "
                "training wrote, or the name of a shipped lifter (`poseshift models --shipped`)"
            )
    try:
        return LifterFile.model_validate_json(description.read_bytes())
    except ValidationError as error:
        raise ValueError(
            f"{description} does not describe a lifter of this version: {in_sentences(error)}"
        ) from error


def load_lifter(folder: Path, device: torch.device | str = "cpu") -> TrainedLifter:
    """Read a trained lifter that :func:`save_lifter` wrote.

    Raises
    ------
    FileNotFoundError
        When the folder does not hold a lifter.
    ValueError
        When its description is not valid or the weights do not fit it.
    """
    description = describe_lifter(folder)
    description_path, weights_path = folder / DESCRIPTION_FILE, folder / WEIGHTS_FILE
    chosen = encoding(description.encoding)
    lifter = build(description.lifter, chosen.channels)
    try:
        lifter.load_state_dict(load(weights_path.read_bytes()))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(
            f"the weights in {weights_path} do not fit {description_path.name}: {error}"
        ) from error
    return TrainedLifter(
        lifter.to(device).eval(),
        chosen,
        description.lifter,
        description.provenance,
        description.answer,
        description.scale,
    )


def load_state(path: Path) -> dict[str, Any]:
    """Read a resume state; a file that holds anything but tensors and plain values is refused.

    Raises
    ------
    ValueError
        When the file is damaged or holds objects that loading would have to run code for.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{path} is not a state of this trainer (damaged, or it holds more than tensors and numbers): "
            f"{error}; delete it to train from the start"
        ) from error
    return state
