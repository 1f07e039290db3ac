"""The words of a line of a ledger, taken one after the other, and how names, amounts and dates are read from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Any

Json = dict[str, Any]
TOKEN = re.compile(r'"[^"]*"|[,;]|[^\s,;]+')
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
CURRENCY = re.compile(r"[A-Z]{3}")
DEFAULT_CURRENCY = "USD"


class Misread(Exception):
    """A line that is not as `cases/README.md` says."""


def did_you_mean(word: str, known: Mapping[str, object]) -> str:
    """The nearest known word, or all of them."""
    near = get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(sorted(known))}"


class Words:
    """The words of a line, taken one after the other. `today` is the date that relative dates are counted from."""

    def __init__(self, text: str, today: date) -> None:
        self._text = text
        self._tokens = TOKEN.findall(text)
        self._at = 0
        self.today = today

    def peek(self, ahead: int = 0) -> str:
        """A word to come, empty text at the end."""
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def next(self, what: str) -> str:
        """The next word, without its quotation marks."""
        token = self.peek()
        if not token:
            raise Misread(f"the line ends where {what} should stand")
        self._at += 1
        return token.strip('"')

    def take(self, *expected: str) -> bool:
        """Whether exactly these words come next; then they are taken."""
        found = all(self.peek(ahead) == word for ahead, word in enumerate(expected))
        self._at += len(expected) * found
        return found

    def need(self, word: str) -> None:
        """Takes this word, which must come next."""
        if not self.take(word):
            raise Misread(f"{word!r} should stand before {self.peek()!r}")

    def rest(self) -> str:
        """All that stands behind the first word, as it stands."""
        return self._text.partition(" ")[2].strip()

    def end(self) -> None:
        """Nothing may be left."""
        if self.peek():
            raise Misread(f"does not understand {self.peek()!r}")


Reader = Callable[[Words], Any]


def name(words: Words) -> str:
    """An id, a code or quoted text."""
    return words.next("a name")


def amount(words: Words) -> str:
    """Decimal text."""
    token = words.next("an amount")
    if not DECIMAL.fullmatch(token):
        raise Misread(f"{token!r} is no amount")
    return token


def number(words: Words) -> int:
    """A whole number."""
    return int(amount(words))


def percent(words: Words) -> str:
    """`80 %`: decimal text."""
    value = amount(words)
    words.need("%")
    return value


def days(words: Words) -> int:
    """`5 days`."""
    value = number(words)
    if not words.take("days"):
        words.need("day")
    return value


def flag(_: Words) -> bool:
    """The word itself says yes."""
    return True


def currency(words: Words) -> str:
    """Three capitals if they stand here, else dollars."""
    return words.next("a currency") if CURRENCY.fullmatch(words.peek()) else DEFAULT_CURRENCY


def day(words: Words) -> str:
    """`today`, `in 5 days`, `5 days ago` or `2026-03-02`."""
    if words.take("today"):
        return words.today.isoformat()
    if words.take("in"):
        return (words.today + timedelta(days=days(words))).isoformat()
    if DECIMAL.fullmatch(words.peek()):
        past = days(words)
        words.need("ago")
        return (words.today - timedelta(days=past)).isoformat()
    return words.next("a date")


def listed(read_item: Reader) -> Reader:
    """One or more, with commas between them."""

    def read(words: Words) -> list[Any]:
        items = [read_item(words)]
        while words.take(","):
            items.append(read_item(words))
        return items

    return read
