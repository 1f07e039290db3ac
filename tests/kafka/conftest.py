"""A real Kafka and a real registry for the tests of this folder, started once and only if a test asks for them.

Tests share the brokers and never each other's topics: every test puts its own `topic_prefix` before their names, and
before its consumer groups and transactional ids too. A test that hurts a broker takes `broker` or `cluster` and leaves
it running, or starts a `LocalKafka` of its own.
"""

from __future__ import annotations

import re
import signal
import time
import uuid
from collections.abc import Iterator

import pytest

from credit_stream.local_kafka import LocalKafka, LocalKafkaUnavailable, LocalRegistry, prepare

USERS = {"worker": "worker-secret", "stranger": "stranger-secret"}
"""Of `secure_kafka`. What they may do there, a test says by ACLs."""

SOON_BACK = {"broker.session.timeout.ms": "3000"}
"""A broker that was killed may come back under its number only after that."""
LATE = ("secure_kafka", "broker", "cluster")
"""Fixtures that only some tests ask for, in the order in which they come at the end: each is started once, and nothing
of them is there while the others run (three brokers that do nothing take a tenth of a processor)."""

start_seconds: pytest.StashKey[dict[str, float]] = pytest.StashKey()


def pytest_configure() -> None:
    """Ctrl-C must end what is started here too where the shell has put us into the background: it ignores it then, and
    so would every child."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of one server beside each other."""
    items.sort(key=lambda item: max((LATE.index(name) + 1 for name in LATE if _asks_for(item, name)), default=0))


def _asks_for(item: pytest.Item, fixture: str) -> bool:
    return fixture in getattr(item, "fixturenames", ())


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


@pytest.fixture(scope="session")
def secure_kafka(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """One broker whose second listener wants TLS, a name and a password of `USERS`, and lets do what ACLs allow."""
    server = LocalKafka(users=USERS, acls=True)
    begin(pytestconfig, "Kafka, one broker with TLS and SASL,", server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """One broker for tests that end, pause and restart it. A test leaves it running."""
    server = LocalKafka(settings=SOON_BACK)
    begin(pytestconfig, "Kafka, one broker to be hurt,", server)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[LocalKafka]:
    """Three brokers. A test leaves them all running."""
    server = LocalKafka(3, settings=SOON_BACK)
    begin(pytestconfig, "Kafka, three brokers,", server)
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
