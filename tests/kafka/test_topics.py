"""`topics create`, `check` and `tail`: what is made, what is a fault, and what others see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from credit_stream.cli.commands import credit_stream
from credit_stream.core.events import EvaluateHolds, Event, Selection
from credit_stream.core.outputs import RunCompleted
from credit_stream.core.topics import (
    BROADCAST_TOPICS,
    COMMANDS,
    DECISIONS,
    HOLDS,
    ORDERS,
    PAYMENTS,
    RUNS,
    SEQUENCE,
    SETTINGS,
    STATE,
)
from credit_stream.hosts.kafka import admin as kafka_admin
from credit_stream.hosts.kafka.admin import Topic
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import WrongTopics
from credit_stream.hosts.kafka.reading import TopicReader
from credit_stream.hosts.kafka.topics import DAY_MS, RECORD_BYTES_MAX, TOPICS, check, create, inspect, judged
from credit_stream.local_kafka import LocalKafka
from credit_stream.wire.avro import encode_event, encode_output
from credit_stream.wire.checks import MESSAGE_BYTES_MAX

SECONDS_MAX = 30.0


@pytest.fixture
def connection(kafka: LocalKafka, topic_prefix: str) -> Connection:
    """To this test's own topics."""
    return Connection(brokers=kafka.bootstrap, topic_prefix=topic_prefix, application_id=topic_prefix)


def run(connection: Connection, *words: str) -> Result:
    """A command against the topics of the test."""
    options = ["--brokers", connection.brokers, "--topic-prefix", connection.topic_prefix]
    return CliRunner().invoke(credit_stream, [*words, *options])


def eventually(condition: Callable[[], object]) -> None:
    """Waits until it holds; a change of a topic is known to the brokers a moment later."""
    deadline = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.05)


# --- what is a fault, without a broker ----------------------------------------------------------------------------

DEFAULTS = {"message.timestamp.before.max.ms": str(2**63 - 1), "retention.ms": str(7 * DAY_MS), "retention.bytes": "-1"}
"""What brokers add to the settings with which a topic was made."""
GOOD = Connection(brokers="b:1", topic_prefix="p.")
Found = dict[str, Topic | None]
Settings = dict[str, dict[str, str]]


def good(replicas: int = 3) -> tuple[Found, Settings]:
    """All topics as `create` makes them on three brokers."""
    found: Found = {
        stream: Topic(f"p.{stream}", spec.partitions(6), replicas, has_leaders=True) for stream, spec in TOPICS.items()
    }
    return found, {f"p.{stream}": DEFAULTS | spec.settings(replicas) for stream, spec in TOPICS.items()}


@pytest.mark.parametrize("replicas", [3, 4])
def test_topics_as_they_are_made_have_no_faults(replicas: int) -> None:
    """Nor is there anything to warn of."""
    inspection = judged(GOOD, *good(replicas))
    assert (inspection.partitions, inspection.faults, inspection.warnings) == (6, [], [])


@pytest.mark.parametrize(
    ("stream", "changed", "said"),
    [
        (STATE, {"cleanup.policy": "delete"}, "rows would be deleted by age. Mend it: kafka-configs --alter"),
        (STATE, {"cleanup.policy": "compact,delete"}, "--add-config cleanup.policy=compact"),
        (STATE, {"delete.retention.ms": str(DAY_MS)}, "must see which rows have ended"),
        (ORDERS, {"cleanup.policy": "compact"}, "earlier records of a key would be deleted"),
        (SETTINGS, {"cleanup.policy": "compact"}, "earlier records of a key would be deleted"),
        (DECISIONS, {"cleanup.policy": "compact"}, "earlier records of a key would be deleted"),
        (HOLDS, {"cleanup.policy": "delete"}, "p.credit.holds has cleanup.policy=delete"),
        (PAYMENTS, {"retention.ms": str(7 * DAY_MS)}, "the proof of every decision; keep them 400 days"),
        (SEQUENCE, {"retention.ms": "0"}, "the proof of every decision"),
        (ORDERS, {"retention.bytes": "1000000000"}, "however much they are"),
        (ORDERS, {"max.message.bytes": "1048588"}, f"max.message.bytes={RECORD_BYTES_MAX}"),
        (COMMANDS, {"message.timestamp.type": "LogAppendTime"}, "in the order in which they occurred"),
        (STATE, {"unclean.leader.election.enable": "true"}, "what was acknowledged would be lost"),
        (STATE, {"min.insync.replicas": "1"}, "of 3 copies one alone could acknowledge"),
        (STATE, {"min.insync.replicas": "4"}, "so nothing can be written"),
    ],
)
def test_a_setting_that_would_cost_a_decision_or_its_proof_is_a_fault(
    stream: str, changed: dict[str, str], said: str
) -> None:
    """One fault, with the topic, the reason and the command that mends it."""
    found, settings = good()
    settings[f"p.{stream}"] |= changed
    faults = judged(GOOD, found, settings).faults
    assert len(faults) == 1
    assert faults[0].startswith(f"p.{stream} has {next(iter(changed))}=")
    assert said in faults[0]


@pytest.mark.parametrize(
    ("stream", "changed", "said"),
    [
        (ORDERS, {"retention.ms": str(3650 * DAY_MS)}, "keeps records 3650 days; a replay of what is older"),
        (ORDERS, {"message.timestamp.before.max.ms": str(DAY_MS)}, "refuses records that are older than 1 days"),
        (ORDERS, {"min.insync.replicas": "3"}, "cannot be written to while one broker is down"),
    ],
)
def test_a_setting_that_a_person_may_have_chosen_is_a_warning(stream: str, changed: dict[str, str], said: str) -> None:
    """Workers begin."""
    found, settings = good()
    settings[f"p.{stream}"] |= changed
    inspection = judged(GOOD, found, settings)
    assert inspection.faults == []
    assert len(inspection.warnings) == 1
    assert said in inspection.warnings[0]


def test_retention_that_does_not_matter_is_not_spoken_of() -> None:
    """How long decisions are kept for others is the operator's, and a compacted topic has no age."""
    found, settings = good()
    settings[f"p.{DECISIONS}"]["retention.ms"] = str(DAY_MS)
    settings[f"p.{STATE}"]["retention.ms"] = str(DAY_MS)
    assert judged(GOOD, found, settings).faults == []


@pytest.mark.parametrize(
    ("stream", "partitions", "said"),
    [
        (PAYMENTS, 3, "p.credit.payments has 3 partitions, most other topics have 6; all must have the same number"),
        (ORDERS, 7, "p.credit.orders has 7 partitions, most other topics have 6"),
        (STATE, 5, "p.credit.state has 5 partitions"),
        (SETTINGS, 6, "p.credit.settings has 6 partitions; it must have exactly 1"),
    ],
)
def test_another_number_of_partitions_is_a_fault(stream: str, partitions: int, said: str) -> None:
    """With the way that works: it cannot be changed."""
    found, settings = good()
    found[stream] = Topic(f"p.{stream}", partitions, 3, has_leaders=True)
    inspection = judged(GOOD, found, settings)
    assert inspection.partitions == 6
    assert len(inspection.faults) == 1
    assert inspection.faults[0].startswith(said)
    assert "another topic_prefix" in inspection.faults[0]


def test_a_number_of_partitions_that_is_expected_is_compared_with() -> None:
    """Every topic that has another one is a fault; those with one stream for all are not."""
    faults = judged(GOOD, *good(), partitions=8).faults
    assert len(faults) == len(TOPICS) - len(BROADCAST_TOPICS)
    assert "the system was to have 8" in faults[0]


def test_missing_topics_are_one_fault() -> None:
    """Of all missing the first is named: another prefix is a likely cause."""
    found, settings = good()
    found |= {ORDERS: None, STATE: None}
    assert judged(GOOD, found, settings).faults == [
        "Missing: p.credit.orders, p.credit.state. Make what is missing with: credit-stream topics create"
    ]
    nothing = judged(GOOD, dict.fromkeys(TOPICS), {})
    assert len(nothing.faults) == 1
    assert "is topic_prefix right?" in nothing.faults[0]


def test_the_topic_with_the_fewest_copies_is_a_fault() -> None:
    """And where all have too few, somebody should know."""
    found, settings = good()
    found[STATE] = Topic("p.credit.state", 6, 2, has_leaders=True)
    faults = judged(GOOD, found, settings).faults
    assert len(faults) == 1
    assert faults[0].startswith("p.credit.state has 2 copies, other topics have 3")
    assert "1 copy of each record" in judged(GOOD, *good(replicas=1)).warnings[0]


def test_the_largest_event_fits_into_a_record_with_what_is_put_round_it() -> None:
    """As it comes, and in a dead letter."""
    assert RECORD_BYTES_MAX >= 2 * MESSAGE_BYTES_MAX


# --- on a real broker ---------------------------------------------------------------------------------------------


def test_topics_are_made_once_and_have_no_faults(connection: Connection) -> None:
    """A second call makes nothing and says so; the number of partitions is that of the first."""
    made = run(connection, "topics", "create", "--partitions", "3")
    assert (made.exit_code, made.stderr) == (0, "")
    assert f"made {len(TOPICS)} topics with 3 partitions and 1 copy:" in made.stdout
    assert f"  {connection.topic_prefix}credit.orders\n" in made.stdout
    again = run(connection, "topics", "create", "--json")
    told = json.loads(again.stdout)
    assert (again.exit_code, told["made"], len(told["left"])) == (0, [], len(TOPICS))
    assert (told["partitions"], told["faults"]) == (3, [])
    checked = run(connection, "topics", "check")
    assert checked.exit_code == 0
    assert checked.stdout.endswith(f"{len(TOPICS)} topics, 3 partitions: no faults\n")
    assert check(connection) == []


def test_what_is_missing_is_made_as_the_others_are(connection: Connection) -> None:
    """With their number of partitions; `check` named it before."""
    create(connection, partitions=2)
    admin = AdminClient({"bootstrap.servers": connection.brokers})
    admin.delete_topics([connection.topic(ORDERS)])[connection.topic(ORDERS)].result()
    eventually(lambda: check(connection))
    missing = run(connection, "topics", "check", "--json")
    assert missing.exit_code == 1
    assert f"Missing: {connection.topic(ORDERS)}." in json.loads(missing.stdout)["faults"][0]
    created = create(connection)
    assert (created.made, created.partitions, created.inspection.faults) == ([ORDERS], 2, [])


def test_a_topic_that_goes_while_it_is_looked_at_is_missing_and_no_failure(connection: Connection) -> None:
    """Brokers do not all know at the same moment what was made or deleted: the settings are asked for later."""
    create(connection, partitions=1)
    asked, gone = connection.topic(ORDERS), connection.topic("gone")
    assert list(kafka_admin.ClusterAdmin(connection).settings([asked, gone])) == [asked]


def test_another_number_of_partitions_is_refused_with_the_way_that_works(connection: Connection) -> None:
    """Nothing is made or changed."""
    create(connection, partitions=2)
    refused = run(connection, "topics", "create", "--partitions", "4")
    assert refused.exit_code == 1
    assert "The topics are there with 2 partitions, not 4." in refused.stderr
    assert "make new topics under another topic_prefix and send the inputs into them" in refused.stderr
    assert inspect(connection).partitions == 2


def test_partitions_that_somebody_added_are_found_and_not_built_upon(connection: Connection) -> None:
    """Kafka itself lets them be added, and keys would then meet in different tasks."""
    create(connection, partitions=2)
    admin = AdminClient({"bootstrap.servers": connection.brokers})
    topic = connection.topic(PAYMENTS)
    admin.create_partitions([NewPartitions(topic, 4)])[topic].result()
    eventually(lambda: check(connection))
    assert f"{topic} has 4 partitions, most other topics have 2" in check(connection)[0]
    with pytest.raises(WrongTopics):
        create(connection)


def test_a_setting_that_somebody_changed_is_found_and_the_command_in_the_fault_mends_it(connection: Connection) -> None:
    """The fault says which value to set; with it set there is no fault."""
    create(connection, partitions=1)
    set_on(connection, STATE, "cleanup.policy", "delete")
    eventually(lambda: check(connection))
    found = run(connection, "topics", "check")
    assert found.exit_code == 1
    assert found.stderr == "Error: 1 fault; no worker begins with these topics\n"
    _, _, command = check(connection)[0].partition("--add-config ")
    set_on(connection, STATE, *command.split("="))
    eventually(lambda: not check(connection))


def set_on(connection: Connection, stream: str, name: str, value: str) -> None:
    """Changes one setting of a topic."""
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, connection.topic(stream), incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": connection.brokers})
    for done in admin.incremental_alter_configs([resource]).values():
        done.result()


def test_on_three_brokers_every_record_has_three_copies_of_which_two_are_waited_for(
    cluster: LocalKafka, topic_prefix: str
) -> None:
    """Without being asked for: one disk may be lost."""
    connection = Connection(brokers=cluster.bootstrap, topic_prefix=topic_prefix)
    created = create(connection, partitions=1)
    assert (created.replication, created.inspection.faults, created.inspection.warnings) == (3, [], [])
    set_on(connection, ORDERS, "min.insync.replicas", "1")
    eventually(lambda: any("of 3 copies one alone could acknowledge" in fault for fault in check(connection)))


def test_brokers_that_do_not_answer_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1, with where was looked and why it failed; not the client's own lines on the terminal."""
    monkeypatch.setattr(kafka_admin, "DOWN_SECONDS_MAX", 1.0)
    done = CliRunner().invoke(credit_stream, ["topics", "check", "--brokers", "127.0.0.1:1"])
    assert done.exit_code == 1
    assert "Connection refused" in done.stderr
    assert "No broker answers at 127.0.0.1:1 with PLAINTEXT" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_every_compression_that_a_producer_may_choose_can_be_read_by_both_hosts(connection: Connection) -> None:
    """aiokafka needs a package for three of them, without which the first such record would stop a worker on Faust."""
    create(connection, partitions=1)
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for codec in codecs:
        producer = Producer({"bootstrap.servers": connection.brokers, "compression.type": codec})
        producer.produce(connection.topic(ORDERS), codec.encode() * 1_000)
        producer.flush()
        producer.close()
    expected = [codec.encode() * 1_000 for codec in codecs]
    with TopicReader(connection, (ORDERS,)) as reader:
        assert [record.value for record in reader.records()] == expected
    assert asyncio.run(read_by_aiokafka(connection, ORDERS, len(codecs))) == expected


async def read_by_aiokafka(connection: Connection, stream: str, count: int) -> list[bytes]:
    """So many records of partition 0, as a worker on Faust gets them."""
    consumer = AIOKafkaConsumer(**connection.aiokafka(), auto_offset_reset="earliest")
    consumer.assign([TopicPartition(connection.topic(stream), 0)])
    async with consumer:
        return [(await asyncio.wait_for(consumer.getone(), SECONDS_MAX)).value for _ in range(count)]


# --- tail ---------------------------------------------------------------------------------------------------------


def produced(connection: Connection, records: Mapping[str, list[tuple[str, bytes | None]]], *, commit: bool) -> None:
    """Writes records of streams (key, value) in a transaction."""
    settings = {"bootstrap.servers": connection.brokers, "transactional.id": connection.topic_prefix}
    producer = Producer(settings)
    producer.init_transactions()
    producer.begin_transaction()
    for stream, pairs in records.items():
        for key, value in pairs:
            producer.produce(connection.topic(stream), value, key)
    producer.flush()
    (producer.commit_transaction if commit else producer.abort_transaction)()
    producer.close()


def completed(event_id: str) -> bytes:
    """A small output."""
    return encode_output(
        RunCompleted(
            event_id=event_id,
            command="EvaluateHolds",
            partition=0,
            processed=1,
            changed=0,
            failed=0,
            business_date=0,
        )
    )


def test_tail_prints_what_is_committed_as_process_prints_it(connection: Connection) -> None:
    """Topic without prefix, key, type, value; a tombstone has none. What was aborted is not there."""
    create(connection, partitions=2)
    produced(connection, {RUNS: [("k1", completed("e1"))], HOLDS: [("O-1", None)]}, commit=True)
    produced(connection, {RUNS: [("k2", completed("e2"))]}, commit=False)
    found = run(connection, "topics", "tail", RUNS, HOLDS)
    assert (found.exit_code, found.stderr) == (0, "")
    lines = sorted(map(json.loads, found.stdout.splitlines()), key=lambda line: line["topic"])
    assert [(line["topic"], line["key"], line["type"]) for line in lines] == [
        (HOLDS, "O-1", "HoldEntry"),
        (RUNS, "k1", "RunCompleted"),
    ]
    assert lines[0]["value"] is None
    assert lines[1]["value"]["event_id"] == "e1"


def test_tail_ends_after_as_many_as_were_asked_for(connection: Connection) -> None:
    """With --follow too, which otherwise would go on."""
    create(connection, partitions=1)
    produced(connection, {RUNS: [(f"k{n}", completed(f"e{n}")) for n in range(5)]}, commit=True)
    found = run(connection, "topics", "tail", RUNS, "--count", "3", "--follow")
    assert [json.loads(line)["key"] for line in found.stdout.splitlines()] == ["k0", "k1", "k2"]


def test_tail_prints_inputs_as_send_takes_them_and_each_event_once(connection: Connection) -> None:
    """A command for all customers lies in every partition; sent again it is spread again."""
    create(connection, partitions=3)
    event = EvaluateHolds(event_id="e1", occurred_at=1_000, actor="ana", selection=Selection(customer_ids=("C1",)))
    producer = Producer({"bootstrap.servers": connection.brokers})
    for partition in range(3):
        producer.produce(connection.topic(COMMANDS), encode_event(event), b"e1", partition)
    producer.produce(connection.topic(COMMANDS), b"rubbish", None, 1)
    producer.flush()
    producer.close()
    found = run(connection, "topics", "tail", COMMANDS)
    assert [json.loads(line)["event_id"] for line in found.stdout.splitlines()] == ["e1"]
    assert found.exit_code == 1
    assert "credit.commands/1/1: The line is no JSON" in found.stderr


def test_tail_tells_what_is_not_ours_and_goes_on(connection: Connection) -> None:
    """On stderr, with its place; exit status 1."""
    create(connection, partitions=1)
    order: list[tuple[str, bytes | None]] = [("k0", b"rubbish"), ("k1", completed("e1")), ("k2", encoded_event())]
    produced(connection, {RUNS: order}, commit=True)
    found = run(connection, "topics", "tail", RUNS)
    assert [json.loads(line)["key"] for line in found.stdout.splitlines()] == ["k1"]
    assert found.exit_code == 1
    assert "credit.runs/0/0: The bytes begin with 7275" in found.stderr
    assert "credit.runs/0/2: a EvaluateHolds does not belong on this topic" in found.stderr


def encoded_event() -> bytes:
    """An input where an output should be."""
    event: Event = EvaluateHolds(event_id="e1", occurred_at=1_000, actor="ana")
    return encode_event(event)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["credit.decision"], "did you mean 'credit.decisions'?"),
        (["credit.state"], "there is no topic 'credit.state' to print"),
        (["credit.runs"], "There is no topic nowhere.credit.runs; look at topic_prefix"),
    ],
)
def test_tail_of_a_topic_that_is_none_says_which_there_are(kafka: LocalKafka, words: list[str], said: str) -> None:
    """Names are without the prefix; rows of the workers are not for reading."""
    options = ["--brokers", kafka.bootstrap, "--topic-prefix", "nowhere."]
    found = CliRunner().invoke(credit_stream, ["topics", "tail", *words, *options])
    assert found.exit_code != 0
    assert said in found.stderr


@pytest.fixture(autouse=True)
def no_cluster_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The commands take their connection from the options here and from nowhere else."""
    monkeypatch.delenv("CREDIT_STREAM_BROKERS", raising=False)
    monkeypatch.delenv("CREDIT_STREAM_CONNECTION", raising=False)
    yield
