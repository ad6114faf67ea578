"""What pydantic found wrong, in sentences: the first few problems, and how many there are."""

from __future__ import annotations

from pydantic import ValidationError

MOST = 3
"""Problems that are spelt out; a file of a million rows can have as many."""


def in_sentences(error: ValidationError, most: int = MOST) -> str:
    """Say the first problems of a validation error and count the rest.

    Parameters
    ----------
    error : ValidationError
        Of any model.
    most : int
        How many problems are spelt out.

    Returns
    -------
    one line: place, what is wrong and what was found, for each; then the number of further problems.
    """
    problems = error.errors(include_url=False)
    told = [_sentence(problem["loc"], problem["msg"], problem["input"]) for problem in problems[:most]]
    further = len(problems) - len(told)
    if further:
        told.append(f"and {further} more problem{'s' if further > 1 else ''}")
    return "; ".join(told)


def _sentence(place: tuple[int | str, ...], message: str, found: object) -> str:
    where = ".".join(str(step) for step in place)
    what = message.removeprefix("Value error, ")
    if not where:  # of the model as a whole: its input is everything, and the message names what matters
        return what
    return f"{where}: {what[:1].lower()}{what[1:]}; got {_short(found)}"


def _short(found: object) -> str:
    if isinstance(found, (list, tuple, dict)):
        kind = "an object" if isinstance(found, dict) else "a list"
        return f"{kind} with {len(found)} entries"
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."
