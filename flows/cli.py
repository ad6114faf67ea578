"""The command line ``poseshift``: knows where each command is, and loads no more than the one that is called.

Importing everything takes several seconds (PyTorch, Prefect, scikit-learn), which a look at a store's history
should not cost.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "demo": "learning",
        "restage": "data",
        "prepare": "data",
        "inspect": "data",
        "verify": "data",
        "history": "data",
        "run": "learning",
        "train": "learning",
        "adapt": "learning",
        "augment": "augmentation",
        "evaluate": "learning",
        "domain": "own_domain",
        "gap": "domains",
        "models": "models",
        "reproduce": "reproduction",
        "reproduce-paper": "papers",
        "watch": "operations",
        "serve": "operations",
        "benchmark": "benchmarks",
        "import": "exchange",
        "export": "exchange",
    }
)
"""Commands in the order of the help text, and the module of :mod:`poseshift.flows.commands` that has each."""


class CommandsOnDemand(TyperGroup):
    """A group that imports a command's module when that command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, nothing imported."""
        del ctx
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the module that has the command; None when there is no such command."""
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"poseshift.flows.commands.{_MODULES[cmd_name]}")
        return typer.main.get_group(module.app).get_command(ctx, cmd_name)


app = typer.Typer(
    cls=CommandsOnDemand,
    name="poseshift",
    help="Move 2D-to-3D human pose lifters from one camera domain to another, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def options(
    context: typer.Context,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log to standard error as JSON lines with the id of the run.")
    ] = False,
) -> None:
    """Move 2D-to-3D human pose lifters from one camera domain to another, reproducibly."""
    if log_json:
        from poseshift.flows.runtime.logs import log_as_json  # imports Prefect

        log_as_json()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # one of several processes that torchrun started
        from poseshift.flows.commands.launched import join_launch  # imports torch

        join_launch(context)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
