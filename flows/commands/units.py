"""Amounts as people write them."""

from __future__ import annotations


def in_units(size: int) -> str:
    """Write a number of bytes in powers of 1024.

    Examples
    --------
    >>> in_units(900), in_units(3000), in_units(5 << 30)
    ('900 B', '2.9 KiB', '5.0 GiB')
    """
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def for_people(seconds: float) -> str:
    """Write a duration in its two largest units.

    Examples
    --------
    >>> for_people(0.4), for_people(75), for_people(7300)
    ('0.4 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
