"""Digests against hashlib and the command line's own git."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from pydantic import BaseModel

from poseshift.storage import provenance
from poseshift.storage.schema import SourceFile


class Recipe(BaseModel):
    b: float = 0.1
    a: tuple[int, ...] = (1, 2)
    name: str = "Übung"


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 21) + 5])
def test_files_of_any_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "sub" / "file.cdf"
    path.parent.mkdir()
    content = bytes(range(256)) * (size // 256 + 1)
    path.write_bytes(content[:size])
    expected = SourceFile("sub/file.cdf", size, hashlib.sha256(content[:size]).hexdigest())
    assert provenance.digest_file(path, tmp_path) == expected


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        provenance.digest_file(tmp_path / "none", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="subpath"):
        provenance.digest_file(tmp_path / "file", tmp_path / "elsewhere")


def test_canonical_json_depends_on_values_alone() -> None:
    assert provenance.canonical_json(Recipe()) == '{"a":[1,2],"b":0.1,"name":"Übung"}'
    expected = hashlib.sha256('{"a":[1,2],"b":0.1,"name":"Übung"}'.encode()).hexdigest()
    assert provenance.digest_json(Recipe()) == expected
    assert provenance.digest_json(Recipe(b=0.2)) != expected
    reordered = Recipe.model_validate(json.loads('{"name": "Übung", "b": 0.1}'))
    assert provenance.digest_json(reordered) == expected


def test_software_versions_name_what_decides_a_result() -> None:
    versions = provenance.software_versions()
    assert {"python", "poseshift", "numpy", "zarr", "icechunk"} <= set(versions)
    assert all(isinstance(value, str) and value for value in versions.values())


def test_git_commit_is_the_checkouts_own() -> None:
    project = Path(provenance.__file__).resolve().parent.parent
    if not (project / ".git").exists():
        assert provenance.git_commit() is None
        return
    head = subprocess.run(
        ["git", "-C", str(project), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert provenance.git_commit() in (head, f"{head}-dirty")


def test_a_foreign_checkout_around_the_installation_does_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "site-packages" / "storage" / "provenance.py"))
    (tmp_path / "site-packages").mkdir()
    assert provenance.git_commit.__wrapped__() is None
