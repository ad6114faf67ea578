"""The command line ``poseshift``: assembles the commands and starts them."""

from __future__ import annotations

import typer

from flows.commands import benchmarks, data, exchange, learning, operations, reproduction

app = typer.Typer(
    name="poseshift",
    help="Move 2D-to-3D human pose lifters from one camera domain to another, reproducibly.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.add_typer(data.prepare_app, name="prepare")
app.add_typer(benchmarks.benchmark_app, name="benchmark")
for function in (data.restage, data.inspect, data.verify, data.history):
    app.command()(function)
for command in learning.COMMANDS:
    app.command(command.name)(command.function)
for operation in operations.COMMANDS:
    app.command()(operation)
app.command()(reproduction.reproduce)
app.add_typer(exchange.import_app, name="import")
app.add_typer(exchange.export_app, name="export")
app.callback()(operations.options)


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
