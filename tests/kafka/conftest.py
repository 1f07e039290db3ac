"""A real Kafka and a real registry for the tests of this folder, started once and only if a test asks for them.

Tests share the brokers and never each other's topics: every test puts its own `topic_prefix` before their names, and
before its consumer groups and transactional ids too. A test that hurts a broker takes `cluster`, which only its file
has, or starts a `LocalKafka` of its own.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator

import pytest

from credit_stream.local_kafka import LocalKafka, LocalKafkaUnavailable, LocalRegistry, prepare

USERS = {"worker": "worker-secret", "stranger": "stranger-secret"}
"""Of `secure_kafka`. What they may do there, a test says by ACLs."""

start_seconds: pytest.StashKey[dict[str, float]] = pytest.StashKey()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what starting the brokers cost."""
    for name, seconds in config.stash.get(start_seconds, {}).items():
        terminalreporter.write_line(f"{name} started in {seconds:.1f} s")


def begin(config: pytest.Config, name: str, server: LocalKafka | LocalRegistry) -> None:
    """Starts it and notes how long that took, or skips the test where this machine cannot have it."""
    try:
        prepare()
        begun = time.monotonic()
        server.start()
    except LocalKafkaUnavailable as error:
        pytest.skip(f"{name} cannot be had on this machine: {error}")
    config.stash.setdefault(start_seconds, {})[name] = time.monotonic() - begun


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """One broker for the whole run."""
    server = LocalKafka()
    begin(pytestconfig, "Kafka, one broker,", server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def cluster(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """Three brokers, for the tests of one file. A test leaves them all running."""
    server = LocalKafka(3)
    begin(pytestconfig, "Kafka, three brokers,", server)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secure_kafka(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """One broker whose second listener wants TLS, a name and a password of `USERS`, and lets do what ACLs allow."""
    server = LocalKafka(users=USERS, acls=True)
    begin(pytestconfig, "Kafka, one broker with TLS and SASL,", server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def registry(pytestconfig: pytest.Config) -> Iterator[LocalRegistry]:
    """One schema registry for the whole run. Its subjects carry the test's `topic_prefix` or are the same for all."""
    server = LocalRegistry()
    begin(pytestconfig, "The schema registry", server)
    yield server
    server.stop()


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """What stands before the names of this test's topics, groups and transactional ids: its name and a number."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))[:60].strip("-")
    return f"{name}.{uuid.uuid4().hex[:8]}."
