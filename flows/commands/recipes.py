"""The recipe that a command is given."""

from __future__ import annotations

from pathlib import Path

from poseshift.flows.commands.console import note
from poseshift.flows.experiment.recipe import Recipe, load_recipe


def given_recipe(path: Path) -> Recipe:
    """Read a recipe and say which: what follows, errors included, is about it."""
    recipe = load_recipe(path)
    note(f"Recipe {recipe.name}: {path}")
    return recipe
