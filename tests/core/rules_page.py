"""The examples of `docs/rules.md` as cases: each fenced block `ledger` is one, in the notation of `cases/README.md`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.core.ledger import Case, Line, line_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"
BEGIN, END = "```ledger", "```"


def text() -> str:
    """The whole page."""
    return PAGE.read_text(encoding="utf-8")


@cache
def examples() -> tuple[Case, ...]:
    """Every example, with the heading that it stands under as its theme; its lines name page and line."""
    return tuple(_examples(text()))


def _examples(page: str) -> Iterator[Case]:
    heading, lines, inside, count = "", [], False, 0
    for number, raw in enumerate(page.splitlines(), start=1):
        stripped = raw.strip()
        if stripped == BEGIN:
            inside, lines, count = True, [], count + 1
        elif inside and stripped == END:
            inside = False
            yield Case(f"example {count}", heading, (), tuple(lines))
        elif inside and stripped:
            lines.append(_line(stripped, number))
        elif raw.startswith("#"):
            heading = raw.lstrip("# ").replace("`", "")


def _line(stripped: str, number: int) -> Line:
    return line_of(stripped, f"{PAGE.name}:{number}")


def sections() -> dict[str, str]:
    """The page by heading."""
    found: dict[str, str] = {}
    heading = ""
    for raw in text().splitlines():
        if raw.startswith("#"):
            heading = raw.lstrip("# ").replace("`", "")
        found[heading] = found.get(heading, "") + raw + "\n"
    return found
