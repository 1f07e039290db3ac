"""One run of one job: names, topics and a directory of its own, all gone afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from bench.kafka.ends import DEADLINE_S, ends
from credit_stream.core.topics import ORDERS, RUNS, STATE

FOR_EVER = {"retention.ms": "-1"}


class Run(NamedTuple):
    """Where a job runs. `name` is its application id and part of the name of every topic that it has."""

    name: str
    brokers: str
    partitions: int
    directory: Path

    @property
    def prefix(self) -> str:
        """What our engine puts before the names of its streams."""
        return f"{self.name}."

    @property
    def input(self) -> str:
        """The topic with the events."""
        return self.prefix + ORDERS

    @property
    def output(self) -> str:
        """The topic with the counts."""
        return self.prefix + RUNS

    @property
    def state(self) -> Path:
        """The worker's own directory."""
        return self.directory / "state"

    def beside(self, number: int) -> Run:
        """The same run for one more worker, which needs a directory of its own."""
        directory = self.directory / f"worker-{number}"
        run = self._replace(directory=directory)
        run.state.mkdir(parents=True)
        return run


@contextmanager
def new_run(brokers: str, partitions: int) -> Iterator[Run]:
    """A run with nothing in it yet; whatever topics it has led to are deleted at the end."""
    with TemporaryDirectory(prefix="bench-kafka-") as folder:
        run = Run(f"bench-{uuid.uuid4().hex[:8]}", brokers, partitions, Path(folder))
        run.state.mkdir()
        try:
            yield run
        finally:
            _clear(run)


def create_topics(run: Run, topics: Iterable[str]) -> None:
    """Makes topics of the run that keep their records."""
    admin = AdminClient({"bootstrap.servers": run.brokers})
    wanted = [NewTopic(topic, run.partitions, 1, config=FOR_EVER) for topic in topics]
    for made in admin.create_topics(wanted, operation_timeout=DEADLINE_S).values():
        made.result(DEADLINE_S)


def changelog_records(run: Run) -> int:
    """How many records were written to the changelog of the job, whatever it is called; markers of transactions too."""
    admin = AdminClient({"bootstrap.servers": run.brokers})
    topics = [
        topic
        for topic in admin.list_topics(timeout=DEADLINE_S).topics
        if run.name in topic and ("changelog" in topic or topic == run.prefix + STATE)
    ]
    return sum(ends(admin, topics, run.partitions))


def _clear(run: Run) -> None:
    """Deletes every topic with the run's name in it, those too that a job has made by itself, and its group."""
    admin = AdminClient({"bootstrap.servers": run.brokers})
    topics = [topic for topic in admin.list_topics(timeout=DEADLINE_S).topics if run.name in topic]
    if topics:
        for deleted in admin.delete_topics(topics, operation_timeout=DEADLINE_S).values():
            deleted.result(DEADLINE_S)
    for group in admin.delete_consumer_groups([run.name], request_timeout=DEADLINE_S).values():
        # Not every job has one, and one with a member that was killed cannot be deleted: brokers forget it in time.
        group.exception(DEADLINE_S)
