"""A trained lifter as one file that runs without this project, and the card that describes it."""
