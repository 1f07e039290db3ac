"""The demo's first part: the days that are to lie behind the company, as fast as they go."""

from __future__ import annotations

import json
import signal
from time import monotonic

import click

from credit_stream.cli.company_player import CompanyPlayer
from credit_stream.cli.log_summary import add_newest, count_log
from credit_stream.cli.progress import Progress
from credit_stream.cli.summary import Summary
from credit_stream.service.system import System


class Past:
    """Streams in the days that are to lie behind the company, as fast as it goes."""

    def __init__(self, system: System, player: CompanyPlayer, days: int) -> None:
        self.was_interrupted = False
        self._system = system
        self._player = player
        self._days = days
        self._summary = Summary()
        self._day = 0
        self._events = 0
        self._seconds = 0.0

    def stream(self) -> None:
        """Goes on until the last day is decided, or until Ctrl-C, which ends it after the day that it is at."""
        count_log(self._summary, self._system.host)
        self._system.on_record = self._summary.count
        begun = monotonic()
        previous = signal.signal(signal.SIGINT, lambda *_: self._interrupt())
        try:
            with Progress("demo", self._days) as progress:
                while not self.was_interrupted and self._step():
                    rate = self._events / (monotonic() - begun)
                    progress.show(self._day, f"{self._events:,} events, {rate:,.0f} a second")
        finally:
            signal.signal(signal.SIGINT, previous)
            self._system.on_record = None
        self._seconds = monotonic() - begun

    def report(self, *, as_json: bool) -> None:
        """Prints how it went and what lies in the log by now."""
        summary = self._summary
        add_newest(summary, self._system.host)
        rate = round(self._events / self._seconds) if self._seconds else 0
        if as_json:
            timed = {"events": self._events, "seconds": round(self._seconds, 2), "events_per_second": rate}
            click.echo(json.dumps({**timed, **summary.as_json()}))
            return
        timing = f"{self._events:,} events in {self._seconds:.1f} s, {rate:,} a second, each decided and on the disk."
        click.echo(timing if self._events else "The past was here already.")
        click.echo("\n".join(["", *summary.lines()]))

    def _interrupt(self) -> None:
        self.was_interrupted = True

    def _step(self) -> bool:
        """A batch is sent and decided, then the next one is made; False when that is of a day beyond the last."""
        if self._player.day >= self._days:
            return False
        self._day = max(self._day, self._player.day)
        self._events += self._player.send()
        self._system.host.process_pending()
        self._player.go_on()
        return True
