"""`credit-stream demo --kafka`: a real Kafka on this machine, the company's past in its topics, and two workers.

The past ends yesterday. It is sent whole before the workers begin, as a history is: they merge its topics by timestamp
and decide as if they had been there (design section 3). So the company hears nothing of its holds in it, and no clerk
releases an order. From today on the clock is the machine's.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path
from time import monotonic

import click
import msgspec
from msgspec import Struct

from credit_stream.cli.broker import local_kafka_failures, take_directory
from credit_stream.cli.demo_workers import DemoWorkers
from credit_stream.cli.faults import RunFailed
from credit_stream.cli.foreground import LOOK_SECONDS, ended_by_signals, stay
from credit_stream.cli.kafka_options import kafka_failures
from credit_stream.cli.progress import Progress
from credit_stream.cli.topic_summary import summarize_topics
from credit_stream.cli.waiting import Waiting
from credit_stream.company import Plan, events
from credit_stream.core.calendar import DAY_MS, Day
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.sending import Sender
from credit_stream.hosts.kafka.taken import Taken
from credit_stream.hosts.kafka.topics import TOPICS, create
from credit_stream.hosts.librdkafka import SESSION_SECONDS_DEFAULT
from credit_stream.local_kafka import LocalKafka, LocalKafkaFailed
from credit_stream.wire.avro import encode_event

PARTITIONS = 4
NOTE_FILE = "demo.json"
UNFINISHED_NOTE = NOTE_FILE + ".new"
NEW_DIRECTORY = frozenset({"lock", UNFINISHED_NOTE})
"""What may be in a directory that holds nothing yet."""
SETTLED_SECONDS = 1.0
"""With nothing left for so long all is taken: what tasks write for each other is seen some milliseconds later."""
NO_PROGRESS_SECONDS_MAX = 180.0
"""A worker that was killed is missed after 10 s, and the other one restores its partitions first."""


class Options(Struct, frozen=True):
    """What was asked for."""

    data: Path
    seed: int
    customers: int
    days: int
    orders_a_day: float
    once: bool
    as_json: bool


class _Note(Struct, frozen=True):
    """Which past lies in the topics of a directory, and whether it does so whole."""

    seed: int
    customers: int
    days: int
    start: Day
    is_sent: bool


def run(options: Options) -> None:
    """Runs until Ctrl-C, or with `once` until the summary is printed. Raises RunFailed."""
    with kafka_failures(), local_kafka_failures(), ExitStack() as started:
        started.enter_context(ended_by_signals())
        try:
            _Demo(options, started).run()
        except KeyboardInterrupt:
            click.echo("Stopping; the next start goes on from here.", err=True)


class _Demo:
    """One run. What it starts ends with `started`, the last first."""

    def __init__(self, options: Options, started: ExitStack) -> None:
        self._options = options
        self._started = started

    def run(self) -> None:
        """See the module."""
        options = self._options
        self._started.enter_context(take_directory(options.data))
        note = _read_note(options)
        self._tell(
            f"Tarnwick & Vale, a made-up company with {options.customers:,} customers: {options.days:,} days, "
            f"in {options.data}"
        )
        with Waiting("starting Kafka") as waiting:
            kafka = self._started.enter_context(LocalKafka(directory=options.data / "kafka", say=waiting.say))
            connection = Connection(brokers=kafka.bootstrap)
            create(connection, PARTITIONS)
        self._tell(f"Kafka runs at {kafka.bootstrap}: {len(TOPICS)} topics, {PARTITIONS} partitions.")
        sent = 0 if note.is_sent else self._send(connection, note)
        workers = self._started.enter_context(DemoWorkers(options.data, kafka.bootstrap))
        seconds = self._decide(connection, kafka, workers)
        self._report(connection, sent, seconds)
        if not options.once:
            _announce(kafka.bootstrap, workers)
            stay(lambda: _look_after(kafka, workers))

    def _send(self, connection: Connection, note: _Note) -> int:
        """All of the past, each event with its own time. After an interruption it is sent again, which is harmless."""
        begun = monotonic()
        plan = Plan(
            seed=note.seed,
            customers=note.customers,
            start=note.start,
            days=note.days,
            orders_a_day=self._options.orders_a_day,
            # Their postings go from task to task, and while all catch up at their own pace they come late: of 100,000
            # events 22,000 orders were held because of limits that had been renewed long before.
            journals=False,
        )
        leave_garbage_alone()
        count = day = 0
        with Progress("sending", note.days) as progress, Sender[int](connection) as sender:

            def show() -> None:
                """How many events there will be is not known before the last day."""
                progress.show(day * sender.acknowledged // max(1, count), f"{sender.acknowledged:,} events")

            for count, event in enumerate(events(plan), start=1):
                sender.send(encode_event(event), count)
                day = event.occurred_at // DAY_MS - note.start
                show()
            sender.wait(show)
        _write_note(self._options.data, msgspec.structs.replace(note, is_sent=True))
        self._tell(f"{sender.acknowledged:,} events sent in {monotonic() - begun:.1f} s.")
        return sender.acknowledged

    def _decide(self, connection: Connection, kafka: LocalKafka, workers: DemoWorkers) -> float:
        """Starts the workers; returns when all is taken. How many seconds that took, with their start."""
        self._tell(f"Two workers in one group: {', and '.join(worker.shown_command for worker in workers.all)}")
        with Taken(connection) as taken, Progress("deciding", taken.total) as progress:
            # Only now: a broker that has just started again answers for a partition a moment later.
            workers.start()
            begun = moved_at = monotonic()
            left = taken.left
            while left or not workers.have_begun or monotonic() - moved_at < SETTLED_SECONDS:
                taken.look(LOOK_SECONDS)
                _check_kafka(kafka)
                _check_workers(workers, progress)
                if taken.left != left:
                    left, moved_at = taken.left, monotonic()
                progress.show(taken.total - left, f"{left:,} events left")
                _check_progress(monotonic() - moved_at, left, workers)
        return moved_at - begun

    def _report(self, connection: Connection, sent: int, seconds: float) -> None:
        summary = summarize_topics(connection)
        rate = round(sent / seconds) if seconds else 0
        if self._options.as_json:
            timed = {"events": sent, "seconds": round(seconds, 2), "events_per_second": rate}
            click.echo(json.dumps({**timed, **summary.as_json()}))
            return
        decided = f"All decided in {seconds:.1f} s, {rate:,} events a second, each exactly once."
        click.echo(decided if sent else "The past was here already.")
        click.echo("\n".join(["", *summary.lines()]))

    def _tell(self, sentence: str) -> None:
        if not self._options.as_json:
            click.echo(sentence)


# --- what the directory holds ------------------------------------------------------------------------------------


def _read_note(options: Options) -> _Note:
    """What lies in the directory, or is to lie there. Raises RunFailed if that is something else."""
    file = options.data / NOTE_FILE
    if not file.exists():
        if {each.name for each in options.data.iterdir()} - NEW_DIRECTORY:
            raise RunFailed(f"{options.data} holds something that is not this demo's. Give another directory: --data")
        today = time.time_ns() // 1_000_000 // DAY_MS
        note = _Note(options.seed, options.customers, options.days, today - options.days, is_sent=False)
        _write_note(options.data, note)
        return note
    try:
        note = msgspec.json.decode(file.read_bytes(), type=_Note)
    except msgspec.MsgspecError as error:
        raise RunFailed(f"{file} cannot be read ({error}). Give another directory: --data") from None
    if (note.seed, note.customers, note.days) != (options.seed, options.customers, options.days):
        raise RunFailed(
            f"{options.data} holds the company with seed {note.seed}, {note.customers} customers and {note.days} days. "
            f"Start it with --seed {note.seed} --size {note.customers} --days {note.days}, or give another directory "
            "with --data."
        )
    return note


def _write_note(directory: Path, note: _Note) -> None:
    """Whole, or not at all."""
    unfinished = directory / UNFINISHED_NOTE
    unfinished.write_bytes(msgspec.json.encode(note) + b"\n")
    unfinished.replace(directory / NOTE_FILE)


# --- looking after it ---------------------------------------------------------------------------------------------


def _check_kafka(kafka: LocalKafka) -> None:
    if not kafka.running:
        raise LocalKafkaFailed(f"Kafka has ended by itself.\n{kafka.last_lines()}")


def _check_workers(workers: DemoWorkers, progress: Progress) -> None:
    """While there is something to decide: one worker can do without the other, but not none."""
    for worker in workers.ended():
        progress.clear()
        click.echo(worker.end, err=True)
    if not workers.alive:
        raise RunFailed("No worker is left to decide the rest. The next start goes on from here.")


def _look_after(kafka: LocalKafka, workers: DemoWorkers) -> None:
    """When all is decided: says how a worker that was killed, on purpose as a rule, is started again."""
    _check_kafka(kafka)
    for worker in workers.ended():
        heir = f"{workers.alive[0].name} takes its partitions" if workers.alive else "No worker is left"
        click.echo(f"{worker.end}\n{heir}. To start it again: {worker.again}", err=True)


def _check_progress(seconds: float, left: int, workers: DemoWorkers) -> None:
    if seconds > NO_PROGRESS_SECONDS_MAX:
        logs = " and ".join(str(worker.log) for worker in workers.all)
        what = f"{left:,} events are left, and nothing was taken" if left else "The workers have not begun"
        raise RunFailed(f"{what} for {NO_PROGRESS_SECONDS_MAX:.0f} s. What the workers said is in {logs}.")


def _announce(brokers: str, workers: DemoWorkers) -> None:
    """What one can look at and try now. A worker that has ended is left out."""
    lines = ["In another terminal:"]
    lines += [f"  credit-stream topics tail credit.decisions --brokers {brokers} --count 1 | credit-stream explain -"]
    lines += [f"  credit-stream topics tail credit.holds --brokers {brokers}"]
    lines += [f"  curl {worker.probes}/metrics" for worker in workers.alive]
    for worker in workers.alive[:1]:
        lines += ["", f"Kill a worker; {SESSION_SECONDS_DEFAULT} s later the other takes over. Then start it again:"]
        lines += [f"  kill -9 {worker.pid}", f"  {worker.again}"]
    lines += ["", f"What the workers say is in {' and '.join(str(worker.log) for worker in workers.all)}."]
    lines += ["Ctrl-C stops it all; the next start goes on where it stopped."]
    click.echo("\n".join(lines))
