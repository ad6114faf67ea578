"""YAML of calibration programs: plain values and OpenCV's matrices, no objects and no aliases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from poseshift.preprocessing.errors import RawDataError

SUFFIXES = (".yml", ".yaml")


class _Loader(yaml.SafeLoader):
    """Plain YAML and OpenCV's matrices; no aliases, of which a short file can be made endless."""

    def compose_node(self, parent: yaml.nodes.Node | None, index: int) -> yaml.nodes.Node | None:
        """Compose one node, or refuse it."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "an alias")
        node: yaml.nodes.Node | None = super().compose_node(parent, index)
        return node


def _matrix(loader: yaml.SafeLoader, node: yaml.nodes.Node) -> Any:
    if not isinstance(node, yaml.nodes.MappingNode):
        raise yaml.constructor.ConstructorError(None, None, "a matrix that is no mapping", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def yaml_text(path: Path) -> str:
    """Read the text of a file that is YAML by its name; empty for others."""
    return path.read_text(encoding="utf-8", errors="replace") if path.suffix in SUFFIXES else ""


def read_yaml(path: Path, remedy: str) -> Mapping[str, Any]:
    """Read a file of one mapping; RawDataError when it is none."""
    text = yaml_text(path)
    if text.startswith("%YAML:1.0"):  # OpenCV's way to write the directive, which is not YAML's
        text = text.split("\n", 1)[1]
    try:
        documents = [one for one in yaml.load_all(text, Loader=_Loader) if one is not None]
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a time that no calendar has
        raise RawDataError(
            path, found=f"damaged YAML ({error})", expected="a calibration as YAML", remedy=remedy
        ) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        found = f"{len(documents)} documents" if len(documents) != 1 else type(documents[0]).__name__
        raise RawDataError(path, found=found, expected="one mapping of names to values", remedy=remedy)
    return documents[0]


def numbers(path: Path, name: str, value: Any, remedy: str) -> NDArray[np.float64]:
    """Read a number, a list or a matrix with ``data``; RawDataError when it is none."""
    try:
        return np.asarray(value.get("data") if isinstance(value, dict) else value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise RawDataError(
            path, found=f"no numbers under {name!r}", expected="a matrix or a number", remedy=remedy
        ) from error
