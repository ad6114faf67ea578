"""One night, in a process of its own: a look at the raw files, and what follows from it."""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from poseshift.flows.experiment.folder import RunFolder, Trained, job, stores
from poseshift.flows.experiment.recipe import Recipe, save_recipe
from poseshift.flows.experiment.train import train_lifter
from poseshift.flows.pipeline import evaluate_method, prepare_data, publish
from poseshift.flows.watch import Action, decide
from poseshift.storage.provenance import digest_json

LEDGER = "trained.jsonl"
"""One line for each training that came to its end, with the digest of its inputs."""


def look(recipe: Recipe, ledger: Path) -> Action:
    """Prepare, decide, and do what the decision calls for; return the decision."""
    folder = RunFolder(recipe.run_dir)
    folder.path.mkdir(parents=True, exist_ok=True)
    save_recipe(recipe, folder.recipe)
    for data in stores(recipe):
        prepare_data(data)
    decision = decide(recipe)
    if decision.action == "nothing":
        return decision.action
    trained = []
    for seed in recipe.seeds:
        for method in recipe.methods:
            outcome = train_lifter(job(recipe, method, seed), folder.training(method, seed))
            if not outcome.reused:
                line = {"part": f"{method}/seed-{seed}", "snapshots": outcome.result.snapshots}
                _append(ledger, {**line, "digest": digest_json(outcome.result)})
            trained.append(Trained(method, seed, outcome.result, evaluate_method(recipe, method, seed)))
    publish(recipe, tuple(trained))
    return decision.action


def work(recipe: Recipe, ledger: Path, most_bytes: int | None, telling: Connection) -> None:
    """Spend a night, and tell how it ended: the decision, or the error.

    Parameters
    ----------
    most_bytes : int or None
        Longest file that may be written, as on a disk that is nearly full.
    """
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    telling.send("begun")
    if most_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    started = time.perf_counter()
    try:
        action = look(recipe, ledger)
    except Exception as error:  # told to the simulation, which judges it
        telling.send(("failed", f"{type(error).__name__}: {error}"[:300], time.perf_counter() - started))
        os._exit(1)
    telling.send((action, "", time.perf_counter() - started))
    os._exit(0)


def _append(path: Path, line: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
