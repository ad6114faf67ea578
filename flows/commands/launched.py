"""Commands under ``torchrun``: the first process runs the command, the others wait for its trainings."""

from __future__ import annotations

import typer

from poseshift.flows.commands.console import fail, user_errors
from poseshift.flows.experiment.launch import Launch
from poseshift.flows.experiment.train import SharedTraining, take_part
from poseshift.storage.store import StoreError

SHARED = ("train", "adapt", "run", "demo", "reproduce", "watch")
"""Commands whose trainings several processes may share. All others are one process by nature, or start
processes of their own."""


def join_launch(context: typer.Context) -> None:
    """Go on with the command in the first process of a launch; in the others, train along until its end.

    Parameters
    ----------
    context : typer.Context
        Of the program, before its command is run.
    """
    launch, command = Launch.here(), context.invoked_subcommand
    leads = launch.rank == 0
    if command not in SHARED:
        if not leads:
            raise typer.Exit(code=1)
        fail(
            f"`poseshift {command}` is one process, but this launch has {launch.processes}; start it without "
            f"torchrun. Launches of several processes are for {', '.join(SHARED)}."
        )
    launch.meet()
    if leads:
        context.call_on_close(launch.dismiss)
        return
    with user_errors(ValueError, FileNotFoundError, StoreError):
        for job in launch.jobs():
            take_part(SharedTraining.model_validate_json(job))
    raise typer.Exit
