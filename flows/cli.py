"""The command line ``poseshift``: knows where each command is, and loads no more than the one that is called.

Importing everything takes several seconds (PyTorch, Prefect, scikit-learn), which a look at a store's history
should not cost.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from poseshift.flows.commands.answer import one_answer
from poseshift.flows.commands.listed import COMMANDS
from poseshift.flows.runtime.json_lines import in_json_lines
from poseshift.flows.runtime.loopback import keep_loopback_from_proxies
from poseshift.flows.runtime.patience import wait_for_server
from poseshift.flows.runtime.processors import wait_passively


class CommandsOnDemand(TyperGroup):
    """A group that imports a command's module when that command is asked for."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for one in COMMANDS.values():
            self.add_command(TyperCommand(one.name, help=one.help))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the command that is called, and put the real one for the line of the list."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), rest

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
        keep_loopback_from_proxies()
        wait_for_server()
        wait_passively()
        given = [_home_written_out(one) for one in (sys.argv[1:] if args is None else args)]
        with one_answer(in_json="--json" in given), _errors_told():
            sys.exit(self._status(given, prog_name, complete_var, windows_expand_args, **extra))

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


def load_command(name: str) -> Any:
    """Import the module that has a command, and return the command."""
    # Prefect says on import that it cannot make its folder; who runs a flow is told what to do about it.
    warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
    module = import_module(f"poseshift.flows.commands.{COMMANDS[name].module}")
    return typer.main.get_group(module.app).commands[name]


@contextmanager
def _errors_told() -> Iterator[None]:
    """Tell what goes wrong inside the block as the program tells errors, and leave."""
    try:
        yield
    except Exception as error:
        from poseshift.flows.commands.console import error_code, message_of, tell_error  # import pydantic

        match error:
            case typer.Abort():
                tell_error("stopped", "stopped")
                sys.exit(1)
            case TyperException():
                usage = getattr(error, "ctx", None)
                hint = f"\n{usage.get_usage()}\nTry: {usage.command_path} --help" if usage else ""
                tell_error(f"{error.format_message()}{hint}", "usage")
                sys.exit(error.exit_code)
            case OSError() if error.filename is not None:
                tell_error(message_of(error), error_code(error))
                sys.exit(1)
            case OSError():
                raise
            case _:
                tell_error(f"{type(error).__name__}: {error}", "unexpected")
                raise


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
        from importlib.metadata import version as installed_version  # takes longer than all of typer

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
