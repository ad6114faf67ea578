"""Docstrings that a tool can read: examples that run, and parameters in numpydoc's form."""

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("geometry", "storage", "preprocessing", "training", "augmentation", "adaptation", "flows")

WITH_EXAMPLES = (
    *("geometry.alignment", "geometry.bones", "geometry.camera", "geometry.rotation", "geometry.skeleton"),
    *("storage.files", "storage.provenance", "storage.registry", "storage.store"),
    "training.evaluation.metrics",
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(f"poseshift.{name}")
    result = doctest.testmod(module, extraglobs={"np": np}, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted > 0
    assert result.failed == 0


def sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """The entries of a docstring's parameters and attributes: header line and description."""
    lines = docstring.splitlines()
    at = [n for n, line in enumerate(lines[:-1]) if re.fullmatch(r" *-{3,}", lines[n + 1]) and line.strip()]
    for start, end in pairwise([*at, len(lines)]):
        if lines[start].strip() not in ("Parameters", "Attributes"):
            continue
        indent = len(lines[start]) - len(lines[start].lstrip())
        block = lines[start + 2 : end]
        headers = [
            n for n, line in enumerate(block) if line.strip() and len(line) - len(line.lstrip()) == indent
        ]
        for first, last in pairwise([*headers, len(block)]):
            yield block[first].strip(), [line.strip() for line in block[first + 1 : last] if line.strip()]


@pytest.mark.parametrize("package", PACKAGES)
def test_parameters_have_a_type_and_a_description_below_it(package: str) -> None:
    wrong = []
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                continue
            for header, _ in sections(ast.get_docstring(node, clean=True) or ""):
                name, colon, kind = header.partition(" : ")
                sentence = kind.rstrip().endswith(".") or len(kind) > 100
                if colon and (not re.fullmatch(r"[\w*]+(, [\w*]+)*", name) or sentence):
                    wrong.append(f"{path.relative_to(ROOT)}: {node.name}: {header}")
    assert not wrong, "\n".join(wrong)
