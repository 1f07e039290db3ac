"""`credit-stream demo --kafka`: what it decides, what it says, and that nothing of it is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from credit_stream.cli.commands import credit_stream
from credit_stream.cli.demo import ORDERS_A_DAY_OF_CUSTOMER
from credit_stream.cli.summary import Summary
from credit_stream.company import Plan, events
from credit_stream.hosts.memory import MemoryHost
from credit_stream.local_kafka import LocalKafkaUnavailable, prepare
from credit_stream.local_kafka.packages import CACHE_VARIABLE
from credit_stream.local_kafka.processes import is_open
from credit_stream.wire.avro import encode_event
from tests.kafka.workers import ROOT, until

PATIENCE_SECONDS = 240.0
"""For a whole demo on a machine that does many other things."""
CUSTOMERS = 25
DAYS = 40
SMALL = ("--size", str(CUSTOMERS), "--days", str(DAYS))


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """What a local Kafka is made of; the tests of this file are left out where it cannot be had."""
    try:
        prepare()
    except LocalKafkaUnavailable as error:
        pytest.skip(f"Kafka cannot be had on this machine: {error}")


class Demo:
    """A demo in a process of its own."""

    def __init__(self, data: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "credit_stream", "demo", "--kafka", "--data", str(data), *SMALL, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        )
        self.said = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.wait()

    def find(self, pattern: str) -> str:
        """Waits until it has said this; its first group."""
        until(
            lambda: re.search(pattern, self.said) or not self._reader.is_alive(), f"it says {pattern}", PATIENCE_SECONDS
        )
        found = re.search(pattern, self.said)
        assert found, f"it has ended without {pattern}:\n{self.said}"
        return found[1] if found.groups() else found[0]

    def wait(self) -> int:
        """Its exit status, when it has ended and all that it said was read."""
        status = self.process.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        return status

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.said += line


def ports(text: str) -> list[int]:
    """Of every address of this machine in a text."""
    return [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", text)]


def wait_until_closed(text: str) -> None:
    """Nobody listens at any address in the text."""
    until(lambda: not any(is_open(port) for port in ports(text)), f"all of {ports(text)} are closed")


def expected(data: Path) -> dict[str, Any]:
    """What a straight replay in memory makes of the past that lies in the directory of a demo."""
    start = json.loads((data / "demo.json").read_text())["start"]
    plan = Plan(
        customers=CUSTOMERS, start=start, days=DAYS, orders_a_day=ORDERS_A_DAY_OF_CUSTOMER * CUSTOMERS, journals=False
    )
    host, summary = MemoryHost(), Summary()
    for event in events(plan):
        for topic, key, record in host.process(encode_event(event)):
            summary.add(topic, key, record)
    for topic, key, record in host.tick(time.time_ns() // 1_000_000):
        summary.add(topic, key, record)
    return summary.as_json()


def owned(probes: str) -> float:
    """How many partitions a worker is at work on, by its metrics."""
    with urllib.request.urlopen(f"{probes}/metrics", timeout=30) as answer:
        found = re.search(r"^credit_stream_partitions_owned (\S+)$", answer.read().decode(), re.MULTILINE)
    assert found
    return float(found[1])


def test_a_demo_that_is_stopped_goes_on_loses_a_worker_and_is_killed(tmp_path: Path) -> None:
    """Stopped while it sends, the next start sends all again: the decisions are those of a replay that saw each once.
    Settings of another system in the environment have no part in it.

    The third start finds all decided. Its first worker is killed and the other takes over; then the demo itself is
    killed with SIGKILL, and neither a broker nor a worker outlives it.
    """
    with Demo(tmp_path) as demo:
        demo.find(r"Kafka runs at")
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait() == 0
        assert "the next start goes on from here" in demo.said
        wait_until_closed(demo.said)

    elsewhere = {"CREDIT_STREAM_BROKERS": "nowhere.invalid:9092", "CREDIT_STREAM_TOPIC_PREFIX": "other."}
    with Demo(tmp_path, "--once", "--json", environment=elsewhere) as demo:
        assert demo.wait() == 0, demo.said
        found = json.loads(demo.said)
        assert found["decisions"]["released"] > 100
        assert {name: found[name] for name in expected(tmp_path)} == expected(tmp_path)

    with Demo(tmp_path) as demo:
        demo.find("Ctrl-C stops it")
        assert "The past was here already." in demo.said
        first, second = re.findall(r"curl (http://127\.0\.0\.1:\d+)/metrics", demo.said)
        os.kill(int(demo.find(r"kill -9 (\d+)")), signal.SIGKILL)
        demo.find(r"worker-1 .* was ended by SIGKILL\.\nworker-2 takes its partitions")
        until(lambda: owned(second) == 4, "the other worker has all partitions", PATIENCE_SECONDS)
        assert not is_open(ports(first)[0])
        demo.process.kill()
        demo.wait()
        wait_until_closed(demo.said)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """The directory of a demo of another company."""
    (tmp_path / "demo.json").write_text('{"seed":7,"customers":5,"days":3,"start":20000,"is_sent":true}')
    yield tmp_path


def test_another_company_needs_another_directory(held: Path) -> None:
    """Exit status 1, with the options of the one that is there; nothing is started."""
    result = CliRunner().invoke(credit_stream, ["demo", "--kafka", "--data", str(held), "--once"])
    assert result.exit_code == 1
    assert "--seed 7 --size 5 --days 3" in result.output


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    """The embedded demo's, for one."""
    (tmp_path / "company.picture").touch()
    result = CliRunner().invoke(credit_stream, ["demo", "--kafka", "--data", str(tmp_path), "--once"])
    assert result.exit_code == 1
    assert "something that is not this demo's" in result.output
    assert not (tmp_path / "kafka").exists()


@pytest.mark.parametrize("option", [("--speed", "2880"), ("--host", "127.0.0.1"), ("--port", "8321")])
def test_options_of_the_embedded_demo_are_refused(option: tuple[str, str], tmp_path: Path) -> None:
    """Exit status 2, even with their defaults: whoever gives them expects a page."""
    result = CliRunner().invoke(credit_stream, ["demo", "--kafka", "--data", str(tmp_path), *option])
    assert result.exit_code == 2
    assert f"{option[0]} is for the embedded demo" in result.output


def test_a_past_that_would_begin_before_1970_is_refused(tmp_path: Path) -> None:
    """Exit status 2, with the most that can be."""
    result = CliRunner().invoke(credit_stream, ["demo", "--kafka", "--data", str(tmp_path), "--days", "36500"])
    assert result.exit_code == 2
    assert re.search(r"--days \d{5} at most", result.output)


def test_where_kafka_cannot_be_had_one_sentence_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1. Here the packages cannot be kept anywhere."""
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    result = CliRunner().invoke(credit_stream, ["demo", "--kafka", "--data", str(tmp_path / "data"), "--once"])
    assert result.exit_code == 1
    assert f"Kafka cannot be had on this machine: the packages of kafka-4.1.0 cannot be kept in {tmp_path}" in (
        result.output
    )
