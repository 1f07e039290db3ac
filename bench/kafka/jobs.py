"""Who takes part: how each job is started, and what it reads and writes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from bench.kafka.installed import PEERS, java_command, quix_python
from bench.kafka.run import Run, create_topics
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.topics import create

Core = Literal["counting", "full", "groups"]


class Job(NamedTuple):
    """One way to do the work: the command of its worker, its environment, and the topics it finds made."""

    name: str
    about: str
    command: Callable[[Run], list[str]]
    environment: Callable[[Run], Mapping[str, str]] = lambda run: {}
    prepare: Callable[[Run], None] = lambda run: create_topics(run, [run.input, run.output])
    core: Core = "counting"


def _kafka_streams(commit_interval_ms: int) -> Callable[[Run], list[str]]:
    def command(run: Run) -> list[str]:
        interval = str(commit_interval_ms)
        return [*java_command(), "CountPerKey", run.brokers, run.name, run.input, run.output, str(run.state), interval]

    return command


def _quix(*options: str) -> Callable[[Run], list[str]]:
    def command(run: Run) -> list[str]:
        program = str(PEERS / "quix_count.py")
        return [str(quix_python()), program, run.brokers, run.name, run.input, run.output, str(run.state), *options]

    return command


def _faust(store: str) -> Callable[[Run], Mapping[str, str]]:
    def environment(run: Run) -> Mapping[str, str]:
        return {
            "BENCH_BROKERS": run.brokers,
            "BENCH_GROUP": run.name,
            "BENCH_INPUT": run.input,
            "BENCH_OUTPUT": run.output,
            "BENCH_PARTITIONS": str(run.partitions),
            "BENCH_STATE": str(run.state),
            "BENCH_STORE": store,
        }

    return environment


def _faust_command(_: Run) -> list[str]:
    return [sys.executable, str(PEERS / "faust_count.py"), "worker", "-l", "warn"]


def _ours(core: Core) -> Callable[[Run], list[str]]:
    def command(run: Run) -> list[str]:
        module = "bench.kafka.our_worker"
        return [sys.executable, "-m", module, core, run.brokers, run.name, run.prefix, str(run.state)]

    return command


def _ours_on_faust(core: Core) -> Callable[[Run], list[str]]:
    return lambda run: [sys.executable, "-m", "bench.kafka.our_faust_worker", core, "worker", "-l", "warn"]


def _our_environment(run: Run) -> Mapping[str, str]:
    return {
        "CREDIT_STREAM_BROKERS": run.brokers,
        "CREDIT_STREAM_APPLICATION_ID": run.name,
        "CREDIT_STREAM_TOPIC_PREFIX": run.prefix,
        "CREDIT_STREAM_STATE": str(run.state),
    }


def _our_topics(run: Run) -> None:
    create(Connection(brokers=run.brokers, topic_prefix=run.prefix), run.partitions, 1)


def _our_job(name: str, about: str, core: Core) -> Job:
    return Job(name, about, _ours(core), prepare=_our_topics, core=core)


def _our_job_on_faust(name: str, about: str, core: Core) -> Job:
    return Job(name, about, _ours_on_faust(core), _our_environment, _our_topics, core)


KAFKA_STREAMS = "kafka-streams"
GROUPS = "groups"
JOBS = (
    _our_job("ours", "our engine with a counting core, librdkafka host", "counting"),
    _our_job_on_faust("ours-faust", "the same, Faust host", "counting"),
    Job(KAFKA_STREAMS, "Kafka Streams, exactly_once_v2, commit every 100 ms (default)", _kafka_streams(100)),
    Job("kafka-streams-10", "the same, commit every 10 ms", _kafka_streams(10)),
    Job("quix", "quix-streams, exactly once, commit every 5 s (default)", _quix()),
    Job("quix-100", "the same, commit every 100 ms, and our retry.backoff.ms", _quix("0.1")),
    Job("quix-10", "the same, commit every 10 ms", _quix("0.01")),
    Job("faust-table", "Faust, table in memory with changelog, at least once", _faust_command, _faust("memory://")),
    Job("faust-rocksdb", "the same, table in RocksDB", _faust_command, _faust("rocksdb://")),
    _our_job("full", "our engine with the credit decisions, librdkafka host", "full"),
    _our_job_on_faust("full-faust", "the same, Faust host", "full"),
    _our_job(GROUPS, "the credit decisions with every customer in a credit group (latency only)", "groups"),
)
"""Ours and the peers. Those that are `full` decide about the company's events; all others count."""


def job(name: str) -> Job:
    """The job of that name. Raises `KeyError`."""
    return {each.name: each for each in JOBS}[name]
