"""Shares, times and sizes as they are typed."""

from __future__ import annotations

import re

from tricorn.supervise.errors import SuperviseError

_POINTS = 100
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def share(word: str, option: str) -> int:
    """Basis points: ``5%``, ``0.5`` or ``100%``; more than none.

    Raises:
        SuperviseError: it is no share.
    """
    try:
        points = float(word.removesuffix("%")) * _POINTS
    except ValueError:
        points = -1.0
    if not 0 < points <= _POINTS * 100 or abs(points - round(points)) > 1e-6:  # noqa: PLR2004 - a float's error
        raise SuperviseError(
            f"{option} {word} is no share of the calls", remedy="give a percentage from 0.01 to 100, e.g. 5%"
        )
    return round(points)


def seconds(word: str, option: str) -> float:
    """``90s``, ``10m``, ``2h``; a number alone is seconds.

    Raises:
        SuperviseError: it is no time.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", word)
    if found is None or not float(found[1]):
        raise SuperviseError(f"{option} {word} is no time", remedy="give seconds, minutes or hours: 90s, 10m, 2h")
    return float(found[1]) * _SECONDS[found[2] or "s"]


def size(word: str, option: str) -> int:
    """Bytes: ``64MB``, ``500kB``, ``1GB``.

    Raises:
        SuperviseError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(|kb|mb|gb)", word.lower())
    if found is None or not float(found[1]):
        raise SuperviseError(f"{option} {word} is no size", remedy="give bytes, kB, MB or GB: 64MB")
    return int(float(found[1]) * _BYTES[found[2]])
