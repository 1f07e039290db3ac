"""`send --brokers`: every line to its topic, partition and time; and `dead-letters list` of what became of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer

from credit_stream.cli.commands import credit_stream
from credit_stream.core.outputs import DeadLetter
from credit_stream.core.topics import (
    CLOCK,
    COMMANDS,
    CUSTOMERS,
    DEAD_LETTERS,
    INBOX,
    INPUT_TOPICS,
    INTERNAL_TOPICS,
    ORDERS,
    SETTINGS,
)
from credit_stream.hosts.kafka import sending
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import DeliveryFailed
from credit_stream.hosts.kafka.reading import Record, TopicReader
from credit_stream.hosts.kafka.sending import Sender, TooLarge
from credit_stream.hosts.kafka.topics import create
from credit_stream.local_kafka import LocalKafka, LocalRegistry
from credit_stream.wire.avro import encode_event, encode_output
from credit_stream.wire.checks import MESSAGE_BYTES_MAX
from credit_stream.wire.instants import instant_of_text
from credit_stream.wire.read import read_event

PARTITIONS = 3
HEAD = '"occurred_at": "2026-03-02T09:00:00Z", '
CUSTOMER = '{"type": "CustomerUpdated", "event_id": "%s", ' + HEAD + '"customer_id": "%s", "credit_currency": "EUR"}'
ORDER = (
    '{"type": "OrderPlaced", "event_id": "%s", ' + HEAD + '"order_id": "O1", "customer_id": "C1", "amount": "5.00",'
    ' "currency": "EUR"}'
)


@pytest.fixture(autouse=True)
def no_cluster_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test says where it sends to."""
    monkeypatch.delenv("CREDIT_STREAM_BROKERS", raising=False)
    monkeypatch.delenv("CREDIT_STREAM_CONNECTION", raising=False)


@pytest.fixture
def connection(kafka: LocalKafka, topic_prefix: str) -> Connection:
    """To this test's own topics, which are there."""
    found = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix)
    create(found, partitions=PARTITIONS)
    return found


def sent(connection: Connection, folder: Path, lines: list[str], *options: str) -> Result:
    """The lines, sent as a file `events.jsonl`."""
    file = folder / "events.jsonl"
    file.write_text("\n".join(lines))
    return run(connection, "send", str(file), *options)


def run(connection: Connection, *words: str) -> Result:
    """A command against the topics of the test."""
    options = ["--brokers", connection.brokers, "--topic-prefix", connection.topic_prefix]
    return CliRunner().invoke(credit_stream, [*words, *options])


def lying(connection: Connection, *streams: str) -> list[Record]:
    """What lies in the topics, partition by partition."""
    with TopicReader(connection, streams) as reader:
        return list(reader.records_by_partition())


def keys(records: list[Record]) -> list[bytes]:
    """Their keys, in an order."""
    return sorted(record.key or b"" for record in records)


# --- where it goes ------------------------------------------------------------------------------------------------


def test_events_lie_where_every_other_producer_puts_them(connection: Connection, tmp_path: Path) -> None:
    """librdkafka's own murmur2 partitioner, given the same keys, chooses the same partitions."""
    customers = [f"C{number}" for number in range(40)]
    done = sent(connection, tmp_path, [CUSTOMER % (f"e-{name}", name) for name in customers])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "40 lines accepted\n", "")
    ours = {record.key: record.partition for record in lying(connection, CUSTOMERS)}
    producer = Producer({"bootstrap.servers": connection.brokers, "partitioner": "murmur2_random"})
    theirs: dict[bytes, int | None] = {}
    for name in customers:
        producer.produce(
            connection.topic(ORDERS),
            b"x",
            name.encode(),
            on_delivery=lambda _, message: theirs.update({message.key(): message.partition()}),
        )
    producer.flush()
    producer.close()
    assert len(set(ours.values())) == PARTITIONS
    assert theirs == ours


def test_an_event_is_avro_with_its_own_time(connection: Connection, tmp_path: Path) -> None:
    """A cold start puts the topics in order by it. What claims to be of the future came now."""
    later = (ORDER % "e2").replace("2026-03-02", "2199-01-01")
    before_ms = time.time_ns() // 1_000_000
    sent(connection, tmp_path, [ORDER % "e1", later])
    records = lying(connection, ORDERS)
    assert records[0].timestamp_ms == instant_of_text("2026-03-02T09:00:00Z")
    assert before_ms <= records[1].timestamp_ms <= time.time_ns() // 1_000_000
    for record, line in zip(records, [ORDER % "e1", later], strict=True):
        assert record.value == encode_event(read_event(line.encode()))  # type: ignore[arg-type]


def test_the_beginning_of_time_is_not_taken_for_now(connection: Connection, tmp_path: Path) -> None:
    """To librdkafka a timestamp of 0 is none."""
    sent(connection, tmp_path, [(ORDER % "e1").replace("2026-03-02T09", "1970-01-01T00")])
    assert [record.timestamp_ms for record in lying(connection, ORDERS)] == [1]


def test_a_command_for_all_customers_goes_to_every_partition_once(connection: Connection, tmp_path: Path) -> None:
    """With one event id; settings and the clock have one stream for all."""
    lines = [
        '{"type": "EvaluateHolds", "event_id": "e1", ' + HEAD + '"actor": "ana"}',
        '{"type": "EvaluateHolds", "event_id": "e2", ' + HEAD + '"actor": "ana", "customer_id": "C1"}',
        '{"type": "ClockTicked", "event_id": "e3", ' + HEAD + '"instant": "2026-03-02T09:00:00Z"}',
        '{"type": "SettingsPublished", "event_id": "e4", ' + HEAD + '"version": 2, "document": "{}"}',
    ]
    done = sent(connection, tmp_path, lines)
    assert done.stdout == "4 lines accepted\n"
    commands = lying(connection, COMMANDS)
    assert keys(commands) == [b"C1"] + [b"e1"] * PARTITIONS
    assert {record.partition for record in commands if record.key == b"e1"} == set(range(PARTITIONS))
    assert keys(lying(connection, CLOCK, SETTINGS)) == [b"clock", b"settings"]


def test_a_line_that_is_no_event_goes_on_as_it_came_and_is_listed(connection: Connection, tmp_path: Path) -> None:
    """Nothing is dropped in silence: by its type where that can be told, to the inbox where not."""
    faulty = (ORDER % "e1").replace('"5.00"', "5")
    done = sent(connection, tmp_path, ["rubbish", faulty, "", ORDER % "e2"])
    assert (done.exit_code, done.stdout) == (0, "3 lines accepted\n")
    assert "events.jsonl:1: unreadable: " in done.stderr
    assert "events.jsonl:2: invalid: " in done.stderr
    assert [(record.place, record.key, record.value) for record in lying(connection, INBOX)] == [
        ("credit.inbox/0/0", None, b"rubbish")
    ]
    assert (0, None, faulty.encode()) in [
        (record.partition, record.key, record.value) for record in lying(connection, ORDERS)
    ]


def test_the_report_can_be_read_by_programs(connection: Connection, tmp_path: Path) -> None:
    """The same object as of a system over HTTP."""
    told = json.loads(sent(connection, tmp_path, ["rubbish", ORDER % "e1"], "--json").stdout)
    assert (told["accepted"], told["rejected_count"]) == (2, 1)
    assert (told["rejected"][0]["line"], told["rejected"][0]["reason"]) == (1, "unreadable")


def test_what_tail_prints_of_inputs_can_be_sent_into_other_topics(
    connection: Connection, topic_prefix: str, tmp_path: Path
) -> None:
    """The way to another number of partitions: the same events, each in the partition where it then belongs."""
    lines = [CUSTOMER % (f"e-C{number}", f"C{number}") for number in range(20)]
    lines.append('{"type": "EvaluateHolds", "event_id": "e1", ' + HEAD + '"actor": "ana"}')
    sent(connection, tmp_path, lines)
    wider = Connection(brokers=connection.brokers, topic_prefix=f"{topic_prefix}v2.")
    create(wider, partitions=5)
    sendable = [topic for topic in INPUT_TOPICS if topic not in INTERNAL_TOPICS]
    printed = run(connection, "topics", "tail", *sendable)
    again = sent(wider, tmp_path, printed.stdout.splitlines())
    assert again.stdout == "21 lines accepted\n"
    assert keys(lying(wider, CUSTOMERS)) == keys(lying(connection, CUSTOMERS))
    assert len(lying(wider, COMMANDS)) == 5


# --- sizes and failures -------------------------------------------------------------------------------------------


def test_the_largest_event_goes_through(connection: Connection, tmp_path: Path) -> None:
    """1 MiB of line: librdkafka's own bound would refuse it, and so would a topic with Kafka's default."""
    frame = CUSTOMER % ("e1", "C1")
    attributes = {f"a{number}": "x" * 9_000 for number in range(116)}
    line = frame[:-1] + ', "attributes": ' + json.dumps(attributes) + "}"
    assert 0.99 * MESSAGE_BYTES_MAX < len(line) <= MESSAGE_BYTES_MAX
    done = sent(connection, tmp_path, [line])
    assert (done.exit_code, done.stderr) == (0, "")
    assert len(lying(connection, CUSTOMERS)[0].value or b"") > 1_000_000


def test_a_line_that_no_topic_takes_is_named(connection: Connection, tmp_path: Path) -> None:
    """Exit status 2: the rest is sent when it is taken out."""
    done = sent(connection, tmp_path, [ORDER % "e1", "x" * 5_000_000])
    assert done.exit_code == 2
    assert "events.jsonl:2 has 5,000,000 bytes; Kafka takes at most 4,190,208 here" in done.stderr
    with Sender[int](connection) as sender, pytest.raises(TooLarge):
        sender.send(b"x" * (sending.VALUE_BYTES_MAX + 1), 0)


def test_sending_ends_when_the_brokers_have_everything(connection: Connection) -> None:
    """`wait` returns then and not before; the numbers say how far it is meanwhile."""
    with Sender[int](connection) as sender:
        for number in range(500):
            assert sender.send((CUSTOMER % (f"e{number}", f"C{number}")).encode(), number) is None
        sender.wait()
        assert (sender.acknowledged, sender.unacknowledged) == (500, None)
    assert len(lying(connection, CUSTOMERS)) == 500


def test_brokers_that_go_away_end_the_sending_with_what_was_not_taken(
    broker: LocalKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And brokers that come back in time do not: the records arrive, in their order and once."""
    monkeypatch.setattr(sending, "DELIVERY_SECONDS_MAX", 60.0)
    connection = Connection(brokers=broker.bootstrap, topic_prefix=topic_prefix)
    create(connection, partitions=1)
    with Sender[int](connection) as sender:
        sender.send((CUSTOMER % ("e1", "C1")).encode(), 1)
        sender.wait()
        broker.kill()
        for number in range(2, 100):
            sender.send((CUSTOMER % (f"e{number}", "C1")).encode(), number)
        assert sender.unacknowledged == 2
        back = threading.Thread(target=broker.start_node)
        back.start()
        sender.wait()
        back.join()
    events = [read_event(record.value or b"") for record in lying(connection, CUSTOMERS)]
    assert [event.event_id for event in events] == [f"e{number}" for number in range(1, 100)]
    monkeypatch.setattr(sending, "DELIVERY_SECONDS_MAX", 2.0)
    try:
        with pytest.raises(DeliveryFailed) as failure, Sender[int](connection) as sender:
            broker.kill()
            sender.send((CUSTOMER % ("e100", "C1")).encode(), 100)
            sender.wait()
    finally:
        broker.start_node()
    assert sender.unacknowledged == 100
    assert "sending the events failed" in str(failure.value)


def test_topics_that_are_not_there_are_told_before_anything_is_sent(
    kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Exit status 1, with the command that makes them."""
    done = sent(Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix), tmp_path, [ORDER % "e1"])
    assert done.exit_code == 1
    assert "credit-stream topics create" in done.stderr


# --- which system is meant ----------------------------------------------------------------------------------------


def test_the_environment_can_say_that_kafka_is_meant(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container needs no options; --url goes before it."""
    file = tmp_path / "events.jsonl"
    file.write_text(ORDER % "e1")
    monkeypatch.setenv("CREDIT_STREAM_BROKERS", connection.brokers)
    monkeypatch.setenv("CREDIT_STREAM_TOPIC_PREFIX", connection.topic_prefix)
    assert CliRunner().invoke(credit_stream, ["send", str(file)]).stdout == "1 lines accepted\n"
    assert keys(lying(connection, ORDERS)) == [b"C1"]
    elsewhere = CliRunner().invoke(credit_stream, ["send", str(file), "--url", "x"])
    assert "'x' is no address of a running system" in elsewhere.stderr


@pytest.mark.parametrize("words", [["send", "-"], ["dead-letters", "list"]])
def test_two_systems_at_once_are_refused(words: list[str]) -> None:
    """Which of them was meant cannot be told."""
    done = CliRunner().invoke(credit_stream, [*words, "--url", "http://127.0.0.1:1", "--brokers", "b:1"], input="")
    assert done.exit_code == 2
    assert "give one of them" in done.stderr


def test_a_directory_and_kafka_at_once_are_refused(tmp_path: Path) -> None:
    """For dead letters."""
    words = ["dead-letters", "list", "--data", str(tmp_path), "--brokers", "b:1"]
    done = CliRunner().invoke(credit_stream, words)
    assert done.exit_code == 2
    assert "Give --data or --brokers, not both." in done.stderr


# --- dead letters -------------------------------------------------------------------------------------------------


@pytest.fixture
def letters(connection: Connection) -> Iterator[Connection]:
    """Two dead letters in two partitions, and one of a transaction that was given up."""
    producer = Producer({"bootstrap.servers": connection.brokers, "transactional.id": connection.topic_prefix})
    producer.init_transactions()
    for offset, partition, commit in ((0, 1, True), (1, 0, True), (2, 0, False)):
        producer.begin_transaction()
        letter = DeadLetter(
            dead_letter_id=f"credit.orders/{partition}/{offset}",
            topic=ORDERS,
            partition=partition,
            offset=offset,
            event_id="e1",
            reason="invalid",
            message="Mend it.",
            payload=b"\xc3\x01",
        )
        producer.produce(connection.topic(DEAD_LETTERS), encode_output(letter), b"C1", partition)
        producer.flush()
        (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()
    yield connection


def test_dead_letters_are_listed_by_partition_and_only_committed_ones(letters: Connection) -> None:
    """As from a directory or over HTTP."""
    done = run(letters, "dead-letters", "list")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "credit.orders/0/1  invalid  event e1\n    Mend it.\n"
        "credit.orders/1/0  invalid  event e1\n    Mend it.\n"
        "2 in all.\n"
    )
    first = json.loads(run(letters, "dead-letters", "list", "--limit", "1", "--json").stdout)
    assert (first["dead_letter_id"], first["payload"]) == ("credit.orders/0/1", "wwE=")


# --- with a schema registry ---------------------------------------------------------------------------------------


def test_with_a_registry_events_carry_the_id_of_their_schema(
    kafka: LocalKafka, registry: LocalRegistry, topic_prefix: str, tmp_path: Path
) -> None:
    """`topics create` has put the schemas there; `tail` finds them by their ids."""
    connection = Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix)
    with_registry = ["--schema-registry", registry.url]
    made = json.loads(run(connection, "topics", "create", "--partitions", "1", "--json", *with_registry).stdout)
    assert sum(made["schemas"].values()) > 40
    assert sent(connection, tmp_path, [ORDER % "e1"], *with_registry).exit_code == 0
    assert (lying(connection, ORDERS)[0].value or b"")[:1] == b"\0"
    printed = run(connection, "topics", "tail", ORDERS, *with_registry)
    assert json.loads(printed.stdout)["event_id"] == "e1"
    without = run(connection, "topics", "tail", ORDERS)
    assert (without.exit_code, without.stdout) == (1, "")
    assert "--schema-registry" in without.stderr
