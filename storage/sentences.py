"""What pydantic found wrong, in sentences: the first few problems, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence

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
    told = [_sentence(problem["loc"], problem["msg"], problem["input"]) for problem in problems]
    return "; ".join(first_few(told, most))


def first_few(problems: Sequence[str], most: int = MOST) -> list[str]:
    """Keep the first problems, and count the rest in place of them.

    Examples
    --------
    >>> first_few(["a", "b", "c", "d", "e"])
    ['a', 'b', 'c', 'and 2 more problems']
    """
    further = len(problems) - most
    if further <= 0:
        return list(problems)
    return [*problems[:most], f"and {further} more problem{'s' if further > 1 else ''}"]


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
