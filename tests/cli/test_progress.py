"""A progress bar: only on a terminal, only for what takes longer, and nothing of it stays."""

from __future__ import annotations

import io

import pytest

from credit_stream.cli import progress
from credit_stream.cli.progress import ERASE_LINE, Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It does."""
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the bar sees; a test moves it by hand."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return now


def test_what_is_done_within_a_second_shows_no_bar(clock: list[float]) -> None:
    """Nothing flickers."""
    terminal = Terminal()
    with Progress("send", 10, terminal) as bar:
        clock[0] = 0.9
        bar.show(9)
    assert terminal.getvalue() == ""


def test_a_longer_run_shows_share_note_and_time_left_and_leaves_no_line(clock: list[float]) -> None:
    """A quarter done in two seconds: six are left."""
    terminal = Terminal()
    with Progress("send", 100, terminal) as bar:
        clock[0] = 2.0
        bar.show(25, "1,000 events")
    assert "send  [#######.....................]  25%  1,000 events  0:06 left" in terminal.getvalue()
    assert terminal.getvalue().endswith(ERASE_LINE)


def test_without_a_total_it_counts(clock: list[float]) -> None:
    """Stdin has no known length."""
    terminal = Terminal()
    with Progress("send", None, terminal) as bar:
        clock[0] = 2.0
        bar.show(25, "1,000 events")
    assert "send  1,000 events" in terminal.getvalue()


def test_where_there_is_no_terminal_there_is_no_bar(clock: list[float]) -> None:
    """Logs of a build stay clean."""
    stream = io.StringIO()
    with Progress("send", 10, stream) as bar:
        clock[0] = 5.0
        bar.show(5)
    assert stream.getvalue() == ""
