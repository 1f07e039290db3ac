"""Plain text tables for terminals, and figures as people write them."""

from __future__ import annotations

from collections.abc import Sequence


def grouped(decimal_text: str) -> str:
    """Decimal text with a comma between thousands: "-1234567.50" is "-1,234,567.50"."""
    sign = "-" if decimal_text.startswith("-") else ""
    whole, point, fraction = decimal_text.removeprefix("-").partition(".")
    return f"{sign}{int(whole):,}{point}{fraction}"


def table(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), indent: str = "") -> list[str]:
    """Lines with aligned columns; those numbered in `right` are flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [indent + _line(row, widths, right) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], right: frozenset[int]) -> str:
    cells = [
        cell.rjust(width) if number in right else cell.ljust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
