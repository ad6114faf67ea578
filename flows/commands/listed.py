"""The list of all commands: what the help of the program says of each, and where it is; nothing is imported.

A command's module imports what the command needs, which is seconds for a training (PyTorch, scikit-learn). A
look at the help, or a tab in a shell, should cost nothing of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class ListedCommand:
    """A command as the help of the program lists it.

    Attributes
    ----------
    name : str
        As it is called.
    module : str
        The module of :mod:`poseshift.flows.commands` that has it.
    help : str
        First paragraph of its own help, in one line.
    """

    name: str
    module: str
    help: str


_IN_ORDER = (
    ListedCommand(
        "demo", "learning", "See the whole path work in a few minutes, on motion that needs no registration."
    ),
    ListedCommand(
        "restage",
        "data",
        "Put free motion before the true cameras of both data sets and write raw trees in the true layouts.",
    ),
    ListedCommand("prepare", "data", "Parse a raw release, as downloaded, into a versioned Zarr store."),
    ListedCommand(
        "inspect", "stores", "Show what a store holds: trials, frames, cameras, and where they came from."
    ),
    ListedCommand(
        "verify",
        "stores",
        "Read every array again and compare it with the digest that was stored when it was written.",
    ),
    ListedCommand("history", "stores", "List the snapshots of a store, newest first."),
    ListedCommand(
        "diff", "upkeep", "Show what changed from one snapshot to another: trials, arrays and attributes."
    ),
    ListedCommand(
        "tag",
        "upkeep",
        "Name a snapshot, which is then kept for good; list the names of a store, or delete one.",
    ),
    ListedCommand(
        "du",
        "upkeep",
        "Show how much room a store takes by array, subject and history, or a folder of runs by run.",
    ),
    ListedCommand(
        "expire",
        "upkeep",
        "Remove old snapshots and what no snapshot refers to; what is tagged, pinned or recorded stays.",
    ),
    ListedCommand(
        "run", "learning", "Do everything that a recipe names: prepare, train, adapt, evaluate, report."
    ),
    ListedCommand(
        "runs",
        "runs",
        "List runs with date, method, seeds, headline figure, snapshots and state; the latest first.",
    ),
    ListedCommand(
        "compare",
        "comparison",
        "Put several runs on one page: figures side by side, paired differences, label-free criteria.",
    ),
    ListedCommand(
        "train",
        "learning",
        "Train one lifter on a labelled store; run it again to resume or to find it done.",
    ),
    ListedCommand(
        "adapt", "learning", "Train a lifter for a target domain without its 3D, by any method that adapts."
    ),
    ListedCommand(
        "augment",
        "augmentation",
        "Make a store of changed poses: bones turned and scaled, bodies turned and placed anew.",
    ),
    ListedCommand("evaluate", "learning", "Measure a trained lifter on a test store, under named protocols."),
    ListedCommand(
        "predict",
        "prediction",
        "Lift a store's 2D keypoints and write the 3D motion of every trial, camera and calibrated rig.",
    ),
    ListedCommand(
        "view",
        "motions",
        "Show what a lifter did: one page with skeletons in space, keypoints and errors, frame by frame.",
    ),
    ListedCommand("domain", "own_domain", "Your own cameras: a store without 3D, to adapt lifters to."),
    ListedCommand(
        "gap",
        "domains",
        "Show what differs between source and target, before and after each step of the adaptation.",
    ),
    ListedCommand(
        "models",
        "models",
        "List the lifters with their size and cost, trained ones, the methods, or the evaluation protocols.",
    ),
    ListedCommand(
        "licence",
        "licence",
        "Print what a lifter was trained on and the terms of those data; `unknown` where it is not recorded.",
    ),
    ListedCommand(
        "reproduce",
        "reproduction",
        "Do a recorded run again from its recipe and snapshots, and compare the results bit for bit.",
    ),
    ListedCommand(
        "reproduce-paper",
        "papers",
        "Run a paper's experiment with its published settings, and say at which stage the figures depart.",
    ),
    ListedCommand(
        "watch",
        "watching",
        "Look once for changes: prepare the raw files that changed, and retrain only what that touches.",
    ),
    ListedCommand(
        "serve",
        "serving",
        "Offer the flows to the Prefect server: on a timetable, on new data, by a click. Runs until stopped.",
    ),
    ListedCommand(
        "doctor",
        "doctor",
        "List what killed runs left: runs and slots in Prefect, servers, locks, half stages, old folders.",
    ),
    ListedCommand(
        "benchmark", "benchmarks", "Compare lifters and methods over several target domains and seeds."
    ),
    ListedCommand("import", "exchange", "Read an exchange file of the field into a new store."),
    ListedCommand(
        "export", "exchange", "Write a store, predictions, or a lifter as a file for other programs."
    ),
)

COMMANDS: Mapping[str, ListedCommand] = MappingProxyType({one.name: one for one in _IN_ORDER})
"""All commands by name, in the order of the help text."""
