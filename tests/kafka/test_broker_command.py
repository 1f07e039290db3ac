"""`credit-stream broker`: a Kafka to try things on, in the foreground."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner

from credit_stream.cli.commands import credit_stream
from credit_stream.hosts.directory import take_lock
from credit_stream.local_kafka import LocalKafka, LocalKafkaUnavailable, prepare
from credit_stream.local_kafka.processes import free_ports, is_open
from tests.kafka.workers import ROOT, until

PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module", autouse=True)
def prepared() -> None:
    """What a local Kafka is made of; the tests of this file are left out where it cannot be had."""
    try:
        prepare()
    except LocalKafkaUnavailable as error:
        pytest.skip(f"Kafka cannot be had on this machine: {error}")


class Broker:
    """The command in a process of its own."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "credit_stream", "broker", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.said = ""
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: "Ctrl-C ends it" in self.said or not self._reader.is_alive(), "it has begun", PATIENCE_SECONDS)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.wait()

    @property
    def address(self) -> str:
        """What it says to give as --brokers."""
        found = re.search(r"^brokers (\S+)$", self.said, re.MULTILINE)
        assert found, self.said
        return found[1]

    @property
    def java(self) -> int:
        """The number of Kafka's own process."""
        found = re.search(r"one broker \(process (\d+)\)", self.said)
        assert found, self.said
        return int(found[1])

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


def topics(word: str, address: str, *options: str) -> dict[str, object]:
    """What `credit-stream topics` says of this broker."""
    result = CliRunner().invoke(credit_stream, ["topics", word, "--brokers", address, "--json", *options])
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_with_a_directory_the_topics_are_there_at_the_next_start(number: signal.Signals, tmp_path: Path) -> None:
    """On the same port, at once. Ctrl-C and SIGTERM end it with exit status 0, and nobody listens any more."""
    [port] = free_ports(1)
    options = ("--port", str(port), "--data", str(tmp_path / "data"))
    with Broker(*options) as broker:
        assert broker.address == f"127.0.0.1:{port}"
        assert "not for production" in broker.said
        topics("create", broker.address, "--partitions", "3")
        broker.process.send_signal(number)
        assert broker.wait() == 0
        assert not is_open(port)
    with Broker(*options) as broker:
        assert topics("check", broker.address)["partitions"] == 3


def test_a_registry_comes_with_it_and_a_broker_that_dies_ends_it() -> None:
    """Exit status 1, and what the broker said last; the registry does not stay behind."""
    with Broker("--port", "0", "--registry-port", "0") as broker:
        found = re.search(r"^schema registry (\S+)$", broker.said, re.MULTILINE)
        assert found
        with urllib.request.urlopen(f"{found[1]}/subjects", timeout=30) as answer:
            assert json.load(answer) == []
        os.kill(broker.java, signal.SIGKILL)
        assert broker.wait() == 1
        assert "the broker has ended by itself.\nThe last lines of" in broker.said
        port = re.findall(r":(\d+)", found[1])[0]
        assert not is_open(int(port))


def test_killed_it_leaves_nothing_behind() -> None:
    """The guard ends the broker."""
    with Broker("--port", "0") as broker:
        broker.process.kill()
        port = int(broker.address.rpartition(":")[2])
        until(lambda: not is_open(port), "the broker has ended")


def test_a_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    """Exit status 1, before anything is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = CliRunner().invoke(credit_stream, ["broker", "--port", str(port), "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} cannot be listened on" in result.output
    assert "give another port" in result.output


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    """Exit status 1; two brokers would write over each other."""
    with take_lock(tmp_path):
        result = CliRunner().invoke(credit_stream, ["broker", "--port", "0", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "is in use by another process" in result.output


def test_one_port_is_not_given_to_three_nodes() -> None:
    """Before anything is started."""
    with pytest.raises(ValueError, match="one port cannot be that of 3 nodes"):
        LocalKafka(3, port=9092)
