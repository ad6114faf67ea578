"""The command line ``poseshift``: knows where each command is, and loads no more than the one that is called.

Importing everything takes several seconds (PyTorch, Prefect, scikit-learn), which a look at a store's history
should not cost.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import version as installed_version
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from poseshift.flows.runtime.guest import keep_loopback_from_proxies
from poseshift.flows.runtime.json_lines import in_json_lines
from poseshift.flows.runtime.patience import wait_for_server

_MODULES: Mapping[str, str] = MappingProxyType(
    {
        "demo": "learning",
        "restage": "data",
        "prepare": "data",
        "inspect": "stores",
        "verify": "stores",
        "history": "stores",
        "diff": "upkeep",
        "tag": "upkeep",
        "du": "upkeep",
        "expire": "upkeep",
        "run": "learning",
        "runs": "runs",
        "compare": "comparison",
        "train": "learning",
        "adapt": "learning",
        "augment": "augmentation",
        "evaluate": "learning",
        "predict": "prediction",
        "view": "motions",
        "domain": "own_domain",
        "gap": "domains",
        "models": "models",
        "licence": "licence",
        "reproduce": "reproduction",
        "reproduce-paper": "papers",
        "watch": "watching",
        "serve": "serving",
        "doctor": "doctor",
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
        # Prefect says on import that it cannot make its folder; who runs a flow is told what to do about it.
        warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
        module = import_module(f"poseshift.flows.commands.{_MODULES[cmd_name]}")
        return typer.main.get_group(module.app).get_command(ctx, cmd_name)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; what goes wrong outside of it is a message, and a JSON document where one is due."""
        del (
            standalone_mode
        )  # errors are told here and not by typer, which frames them to the terminal's width
        from poseshift.flows.commands.console import (  # imports rich and pydantic
            error_code,
            message_of,
            one_answer,
            tell_error,
        )

        keep_loopback_from_proxies()
        wait_for_server()
        given = [_home_written_out(one) for one in (sys.argv[1:] if args is None else args)]
        with one_answer(in_json="--json" in given):
            try:
                sys.exit(self._status(given, prog_name, complete_var, windows_expand_args, **extra))
            except typer.Abort:
                tell_error("stopped", "stopped")
                sys.exit(1)
            except TyperException as error:
                usage = getattr(error, "ctx", None)
                hint = f"\n{usage.get_usage()}\nTry: {usage.command_path} --help" if usage else ""
                tell_error(f"{error.format_message()}{hint}", "usage")
                sys.exit(error.exit_code)
            except OSError as error:
                if error.filename is None:
                    raise
                tell_error(message_of(error), error_code(error))
                sys.exit(1)
            except Exception as error:
                tell_error(f"{type(error).__name__}: {error}", "unexpected")
                raise

    def _status(
        self,
        args: list[str],
        prog_name: str | None,
        complete_var: str | None,
        windows_expand_args: bool,
        **extra: Any,
    ) -> int:
        """Run a command by typer's own means, which raise what goes wrong; return the exit status."""
        code = super().main(args, prog_name, complete_var, False, windows_expand_args, **extra)
        return code if isinstance(code, int) else 0


app = typer.Typer(
    cls=CommandsOnDemand,
    name="poseshift",
    help="Move 2D-to-3D human pose lifters from one camera domain to another, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _home_written_out(argument: str) -> str:
    """Put the home folder for ``~``, which a shell leaves as it is in ``--out=~/runs`` and between quotes."""
    option, equals, value = argument.partition("=")
    if equals and option.startswith("--") and value.startswith("~"):
        return f"{option}={_home_written_out(value)}"
    try:
        return str(Path(argument).expanduser()) if argument.startswith("~") else argument
    except RuntimeError:  # nobody has that home: it is no path of a home then
        return argument


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"poseshift {installed_version('poseshift')}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Log to standard error as JSON lines with the id of the run.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and leave.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Move 2D-to-3D human pose lifters from one camera domain to another, reproducibly."""
    if log_json or in_json_lines():
        from poseshift.flows.runtime.logs import log_as_json

        log_as_json()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # one of several processes that torchrun started
        from poseshift.flows.commands.launched import join_launch  # imports torch

        join_launch(context)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
