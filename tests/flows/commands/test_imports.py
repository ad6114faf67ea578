"""What a command does not use is not imported for it: torch takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from poseshift.flows.cli import app, load_command
from poseshift.flows.commands.gathering import gathered_listing
from poseshift.flows.commands.listed import COMMANDS
from poseshift.flows.commands.listing import shipped_listing
from poseshift.flows.prepare import PrepareRequest, prepare_store

HEAVY = {
    *("torch", "lightning_fabric", "tensorboard", "sklearn", "matplotlib", "PIL", "jinja2"),
    *("dask", "distributed", "pandas", "xarray", "prefect", "sqlalchemy", "fastapi"),
}
NOT_FOR_HELP = HEAVY | {"numpy", "zarr", "icechunk", "scipy", "h5py", "yaml"}
NO_NUMBERS = HEAVY | {"zarr", "icechunk", "scipy", "h5py"}
NO_READERS = HEAVY | {"scipy", "h5py", "cdflib"}

PROGRAM = """
import atexit, sys
sys.argv[0] = "poseshift"
atexit.register(lambda: print("loaded", *sorted(sys.modules), file=sys.stderr))
from poseshift.flows.cli import main
main()
"""


def loaded_by(*words: str, environment: dict[str, str] | None = None) -> tuple[set[str], str]:
    """Run the program; return the names of all modules that it had imported in the end, and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        capture_output=True,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    names = next(line for line in done.stderr.splitlines() if line.startswith("loaded"))
    return set(names.split()[1:]), done.stdout


@pytest.fixture(scope="module")
def store(restaged: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store that is up to date with its raw tree."""
    place = str(tmp_path_factory.mktemp("look") / "store")
    prepare_store(PrepareRequest(kind="human36m", raw=restaged / "human36m", store=place))
    return place


def test_the_help_of_the_program_imports_no_command() -> None:
    modules, said = loaded_by("--help")
    assert not modules & NOT_FOR_HELP
    assert [name for name in COMMANDS if f" {name} " not in said] == []


def test_a_tab_in_a_shell_imports_no_command() -> None:
    asked = {"_POSESHIFT_COMPLETE": "complete_bash", "COMP_WORDS": "poseshift ex", "COMP_CWORD": "1"}
    modules, said = loaded_by(environment=asked)
    assert not modules & NOT_FOR_HELP
    assert said.split() == ["expire", "export"]


def test_models_builds_none(store: str) -> None:
    modules, said = loaded_by("models")
    assert not modules & NO_NUMBERS
    assert "ampose" in said


@pytest.mark.parametrize("command", ["inspect", "history"])
def test_a_look_at_a_store_imports_what_reads_stores(command: str, store: str) -> None:
    modules, said = loaded_by(command, store)
    assert not modules & NO_READERS
    assert said


def test_preparing_starts_no_cluster(store: str, restaged: Path, tmp_path: Path) -> None:
    for place, end in ((str(tmp_path / "store"), "written"), (store, "nothing changed")):
        modules, said = loaded_by("prepare", "human36m", str(restaged / "human36m"), place)
        assert not modules & HEAVY
        assert end in said


def test_importing_the_commands_of_exchange_files_imports_no_torch() -> None:
    program = "import sys, poseshift.flows.commands.exchange; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_its_own_help_begins_with(name: str) -> None:
    own = load_command(name).help or ""
    assert COMMANDS[name].help == " ".join(own.split("\n\n")[0].split())


def test_the_list_names_every_command_of_its_modules() -> None:
    group = typer.main.get_command(app)
    assert set(group.commands) == set(COMMANDS)  # type: ignore[attr-defined]
    modules = {one.module for one in COMMANDS.values()}
    found = [typer.main.get_group(sys.modules[f"poseshift.flows.commands.{one}"].app) for one in modules]
    assert {name for one in found for name in one.commands} == set(COMMANDS)


def test_the_listing_that_is_shipped_is_what_the_lists_hold() -> None:
    anew = "write it anew: python -m poseshift.flows.commands.gathering"
    assert shipped_listing() == gathered_listing(), anew
