"""What a command does not use is not imported for it: torch takes seconds."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["data", "stores", "exchange"])
def test_commands_about_stores_import_no_torch(module: str) -> None:
    program = f"import sys, poseshift.flows.commands.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", ["stores", "upkeep"])
def test_a_look_at_a_store_imports_neither_prefect_nor_dask_nor_xarray(module: str) -> None:
    program = (
        f"import sys, poseshift.flows.commands.{module}; "
        "print([name for name in ('prefect', 'distributed', 'xarray') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
