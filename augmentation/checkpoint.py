"""A trained generator on disk: safetensors and JSON, so that loading it runs no code.

The folder holds ``generator.safetensors`` and ``generator.json`` (sizes, skeleton, where it comes from).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import JsonValue, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save

from poseshift.augmentation.config import GeneratorChoice, LearnedGenerator
from poseshift.geometry.skeleton import skeleton
from poseshift.storage.files import write_atomically
from poseshift.storage.model import FrozenModel

WEIGHTS_FILE = "generator.safetensors"
DESCRIPTION_FILE = "generator.json"


class GeneratorFile(FrozenModel):
    """The JSON beside a generator's weights."""

    format: Literal["poseshift-generator"] = "poseshift-generator"
    format_version: Literal[1] = 1
    generator: GeneratorChoice
    skeleton: str
    provenance: dict[str, JsonValue]


def save_generator(folder: Path, generator: LearnedGenerator, provenance: Mapping[str, JsonValue]) -> None:
    """Write a generator to a folder; the description comes last."""
    description = GeneratorFile(
        generator=generator.config, skeleton=generator.skeleton.name, provenance=dict(provenance)
    )
    weights = {name: value.detach().cpu().contiguous() for name, value in generator.state_dict().items()}
    write_atomically(folder / WEIGHTS_FILE, save(weights))
    write_atomically(folder / DESCRIPTION_FILE, description.model_dump_json(indent=2) + "\n")


def load_generator(folder: Path) -> LearnedGenerator:
    """Read a generator, in evaluation mode.

    Raises
    ------
    FileNotFoundError
        When the folder does not hold one.
    ValueError
        When its description is not valid or the weights do not fit it.
    """
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not a trained generator: {name} is missing")
    try:
        description = GeneratorFile.model_validate_json((folder / DESCRIPTION_FILE).read_bytes())
    except ValidationError as error:
        raise ValueError(f"{folder / DESCRIPTION_FILE} does not describe a generator: {error}") from error
    generator = description.generator.build(skeleton(description.skeleton))
    try:
        generator.load_state_dict(load((folder / WEIGHTS_FILE).read_bytes()))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"the weights in {folder} do not fit {DESCRIPTION_FILE}: {error}") from error
    return generator.eval()
