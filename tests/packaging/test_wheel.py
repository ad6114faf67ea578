"""The wheel: what lies in it, and that it takes no name but ``poseshift``."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NOT_SOURCES = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "data", "site"
)
USERS_PACKAGES = ("storage", "training")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """Run a command that sees nothing of this checkout and of the network; return what it prints."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env={**environment, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy of the checkout, which the build would otherwise leave files in."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    shutil.copytree(CHECKOUT, sources, symlinks=True, ignore=NOT_SOURCES)
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-w", folder]
    run(build, sources)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of an environment with the wheel, and with the libraries of the running environment.

    A folder that a ``.pth`` file names has its own ``.pth`` files ignored, so an editable installation of the
    running environment is not seen.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(
        [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-compile", wheel],
        folder,
    )
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))
    libraries = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries))
    return python


@pytest.fixture
def users_folder(tmp_path: Path) -> Path:
    """Make a folder with packages that are called as some of PoseShift's are."""
    for name in USERS_PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("OWNER = 'user'\n")
    return tmp_path


def test_data_files_are_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = [entry for entry in (CHECKOUT / "src" / "poseshift").iterdir() if entry.is_dir()]
    data = {
        f"poseshift/{package.name}/{file.relative_to(package).as_posix()}"
        for package in packages
        for file in package.rglob("*.json")
    }
    assert len(data) >= 3
    assert data <= held
    assert "poseshift/py.typed" in held
    pages = {
        f"poseshift/flows/{file.relative_to(CHECKOUT / 'flows').as_posix()}"
        for suffix in ("j2", "css", "js")
        for file in (CHECKOUT / "flows").rglob(f"*.{suffix}")
    }
    assert len(pages) >= 10
    assert pages <= held


def test_shipped_lifters_are_in_the_wheel(wheel: Path) -> None:
    held = {info.filename: info.file_size for info in zipfile.ZipFile(wheel).infolist()}
    folder = CHECKOUT / "training" / "shipped_lifters"
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert {"lifter.safetensors", "README.md", "recipe.yaml"} <= {file.name for file in files}
    for file in files:
        inside = f"poseshift/training/shipped_lifters/{file.relative_to(folder).as_posix()}"
        assert held[inside] == file.stat().st_size
    assert sum(file.stat().st_size for file in files) < 5e6


def test_a_shipped_lifter_is_found_where_the_wheel_is_installed(python: Path, users_folder: Path) -> None:
    told = run([python.with_name("poseshift"), "licence", "free-motion-1"], users_folder)
    assert told.startswith("free-motion-1: free")
    listed = run([python.with_name("poseshift"), "models", "--shipped", "--json"], users_folder)
    (shipped,) = json.loads(listed)["shipped"]
    card = Path(shipped["card"]).resolve()
    assert card.is_file()
    assert card.is_relative_to(python.parents[1].resolve())


def test_every_module_is_in_the_wheel(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    packages = [entry for entry in (CHECKOUT / "src" / "poseshift").iterdir() if entry.is_dir()]
    modules = {
        f"poseshift/{package.name}/{file.relative_to(package).as_posix()}"
        for package in packages
        for file in package.rglob("*.py")
    }
    assert modules <= held


def test_nothing_but_poseshift_is_in_the_wheel(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"poseshift"}
    assert not [name for name in names if {"tests", "benchmarks"} & set(name.split("/"))]
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_commands_start_beside_packages_of_the_same_names(python: Path, users_folder: Path) -> None:
    by_module = run([python, "-m", "poseshift.flows.cli", "--help"], users_folder)
    by_script = run([python.with_name("poseshift"), "--help"], users_folder)
    for shown in (by_module, by_script):
        assert "benchmark" in shown
        assert "prepare" in shown


def test_both_packages_of_a_name_can_be_imported(python: Path, users_folder: Path) -> None:
    program = """
import training, storage
import poseshift.training, poseshift.storage
from poseshift.storage.store import PoseStore
print(training.__file__, storage.__file__, poseshift.training.__file__, PoseStore.__module__, sep="\\n")
"""
    users, users_other, ours, module = run([python, "-c", program], users_folder).split()
    environment = python.parents[1].resolve()
    assert Path(users).resolve().is_relative_to(users_folder.resolve())
    assert Path(users_other).resolve().is_relative_to(users_folder.resolve())
    assert Path(ours).resolve().is_relative_to(environment)
    assert module == "poseshift.storage.store"
