"""A real schema registry: what others frame for it we read, what we frame they read, and it may go and come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from credit_stream.cli.schemas import command
from credit_stream.core import events
from credit_stream.core.outputs import CreditDecision, DeadLetter, Exposure, HoldEntry, LimitJournal, RunCompleted
from credit_stream.core.topics import DEAD_LETTERS, DECISIONS, ORDERS, TOPIC_OF_EVENT, TOPIC_OF_OUTPUT
from credit_stream.engine.task import Program
from credit_stream.hosts.kafka import registry as registries
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.registry import (
    Registry,
    RegistryFailure,
    RegistryUnreachable,
    WrongSchemas,
    event_encoder,
    program_for,
    register_all,
    subject_of,
)
from credit_stream.hosts.kafka.secret import Secret
from credit_stream.hosts.program import CREDIT
from credit_stream.local_kafka import LocalKafka, LocalRegistry
from credit_stream.wire import schemas
from credit_stream.wire.avro import BODY_AT, decode, encode_event, encode_output
from credit_stream.wire.faults import Fault
from credit_stream.wire.records import RECORD_TYPES
from tests.kafka.conftest import begin
from tests.kafka.door import DEADLINE_SECONDS, Door, answering, silent
from tests.kafka.workers import (
    MONDAY,
    Contents,
    Source,
    Worker,
    customer,
    customer_of,
    order,
    outputs,
    system,
    wait_until_taken,
)
from tests.wire.made_records import records
from tests.wire.test_avro import in_numbers, with_defaults

ORDER = events.OrderPlaced(
    event_id="e-1", occurred_at=1_772_442_000_000, order_id="O1", customer_id="C1", amount_minor=100, currency="EUR"
)
RUN = RunCompleted(
    event_id="e-1", command="EvaluateHolds", partition=3, processed=2, changed=1, failed=0, business_date=20_514
)
NOBODYS_ID = 77_777
SECONDS_MAX = 0.5


@pytest.fixture(scope="module")
def url(pytestconfig: pytest.Config) -> Iterator[str]:
    """A registry of this file's own, because what is registered in it is what these tests are about."""
    server = LocalRegistry()
    begin(pytestconfig, "A schema registry of its own", server)
    yield server.url
    server.stop()


@pytest.fixture(scope="module")
def connection(url: str) -> Connection:
    """With all schemas in the registry. The brokers are not asked."""
    connected = connected_to(url)
    register_all(connected)
    return connected


@pytest.fixture
def client(url: str) -> Iterator[SchemaRegistryClient]:
    """Confluent's client, which remembers nothing yet."""
    with SchemaRegistryClient({"url": url, "timeout": DEADLINE_SECONDS}) as made:
        yield made


@pytest.fixture(scope="module")
def worker(connection: Connection) -> Program:
    """What a worker with this registry runs."""
    return program_for(connection)


@pytest.fixture
def door(connection: Connection) -> Iterator[Door]:
    """Before the registry, open."""
    made = Door(connection.schema_registry)
    yield made
    made.close()


def connected_to(url: str) -> Connection:
    """A connection with this registry."""
    return Connection(brokers="localhost:1", schema_registry=url)


def confluent(schema_id: int, body: bytes) -> bytes:
    """The Confluent wire format."""
    return b"\x00" + schema_id.to_bytes(4, "big") + body


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> str:
    """The schema of a record after a change."""
    schema = json.loads(schemas.schema_text(name))
    change(schema)
    return json.dumps(schema)


def with_field(name: str, field: str) -> str:
    """The schema of a record with a new optional field."""
    new = {"name": field, "type": "string", "default": ""}
    return changed(name, lambda schema: schema["fields"].append(new))


# --- registering ------------------------------------------------------------------------------------------------


def test_registering_twice_is_harmless(connection: Connection, client: SchemaRegistryClient) -> None:
    """The same ids, no new version, whatever another program has registered in between."""
    first = {each.record_name: each.schema_id for each in register_all(connection)}
    again = register_all(connection)
    assert {each.record_name: each.schema_id for each in again} == first
    assert first.keys() == RECORD_TYPES.keys()
    assert not any(each.is_new for each in again)
    assert client.get_versions(subject_of("CreditDecision")) == [1]


def test_every_subject_takes_only_versions_that_go_with_all_others(
    connection: Connection, client: SchemaRegistryClient
) -> None:
    """Both ways, since others read our outputs."""
    for name in RECORD_TYPES:
        assert client.get_compatibility(subject_of(name)) == "FULL_TRANSITIVE", name


REFUSED = {
    "a field without a default": lambda schema: schema["fields"].append({"name": "x", "type": "string"}),
    "a field that is gone": lambda schema: schema["fields"].pop(0),
    "another type": lambda schema: schema["fields"][0].update(type="long"),
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED.keys())
def test_an_incompatible_change_is_refused_by_the_registry(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]
) -> None:
    """We say so with its reason; the other records are registered all the same."""
    text = changed("ScoreUpdated", change)
    monkeypatch.setattr(
        registries, "schema_text", lambda name: text if name == "ScoreUpdated" else schemas.schema_text(name)
    )
    with pytest.raises(WrongSchemas) as refused:
        register_all(connection, ["ScoreUpdated", "RunCompleted"])
    [fault] = refused.value.faults
    assert fault.startswith("Registering credit.v1.ScoreUpdated failed: ")
    assert "credit-stream schemas check" in fault


def test_a_compatible_change_becomes_a_new_version(
    connection: Connection, client: SchemaRegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new release registers its schemas; the workers of the last one go on with their ids."""
    with Registry(connection, SECONDS_MAX) as registry:
        before = registry.ids_of(["LimitExpired"])
    text = with_field("LimitExpired", "channel")
    with monkeypatch.context() as patched:
        patched.setattr(registries, "schema_text", lambda name: text)
        [new] = register_all(connection, ["LimitExpired"])
    assert new.is_new
    assert new.schema_id != before["LimitExpired"]
    assert len(client.get_versions(new.subject)) == 2
    with Registry(connection, SECONDS_MAX) as registry:
        assert registry.ids_of(["LimitExpired"]) == before


def test_all_workers_find_the_same_id_whatever_others_register(
    connection: Connection, client: SchemaRegistryClient
) -> None:
    """Our schema without spaces or with other words is a version of its own for a registry, with another id."""
    with Registry(connection, SECONDS_MAX) as registry:
        before = registry.ids_of(["ReviewOrder"])
    compact = json.dumps(json.loads(schemas.schema_text("ReviewOrder")), separators=(",", ":"))
    for text in (compact, changed("ReviewOrder", lambda schema: schema.update(doc="Other words."))):
        assert client.register_schema(subject_of("ReviewOrder"), Schema(text, "AVRO")) != before["ReviewOrder"]
    with Registry(connection, SECONDS_MAX) as registry:
        assert registry.ids_of(["ReviewOrder"]) == before
    assert not register_all(connection, ["ReviewOrder"])[0].is_new


def test_a_worker_refuses_to_begin_where_a_subject_is_missing(
    connection: Connection, client: SchemaRegistryClient
) -> None:
    """With what to do about it; then it begins, with the same id as before."""
    before = program_for(connection).encode
    client.delete_subject(subject_of("RunCompleted"))
    try:
        with pytest.raises(WrongSchemas) as refused:
            program_for(connection)
    finally:
        register_all(connection, ["RunCompleted"])
    [fault] = refused.value.faults
    assert "no schema of credit.v1.RunCompleted" in fault
    assert f"credit-stream schemas register --schema-registry {connection.schema_registry}" in fault
    after = program_for(connection).encode
    assert before is not None
    assert after is not None
    assert before(RUN) == after(RUN)


def test_a_worker_refuses_to_begin_where_a_subject_has_only_other_versions(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer worker before its schemas were registered would write what no reader can look up."""
    text = with_field("Exposure", "not_registered")
    monkeypatch.setattr(
        registries, "schema_text", lambda name: text if name == "Exposure" else schemas.schema_text(name)
    )
    with pytest.raises(WrongSchemas, match=r"no schema of credit\.v1\.Exposure as this version writes it"):
        program_for(connection)


# --- both framings ----------------------------------------------------------------------------------------------


class Confluent:
    """Confluent's own serializers, as a program of others would have them."""

    def __init__(self, client: SchemaRegistryClient) -> None:
        self._client = client
        self._serializers: dict[str, AvroSerializer] = {}
        self.deserialize = AvroDeserializer(client, conf={"subject.name.strategy": record_subject_name_strategy})
        """Which knows no schema but from the registry."""

    def serializer(self, text: str, registers: bool = False) -> AvroSerializer:
        """Of records with this schema."""
        configuration = {"auto.register.schemas": registers, "subject.name.strategy": record_subject_name_strategy}
        if text not in self._serializers:
            self._serializers[text] = AvroSerializer(self._client, text, conf=configuration)
        return self._serializers[text]


@pytest.fixture(scope="module")
def others(connection: Connection) -> Iterator[Confluent]:
    """A program of others."""
    with SchemaRegistryClient({"url": connection.schema_registry}) as made:
        yield Confluent(made)


def context(record_type: type[Struct]) -> SerializationContext:
    """Where the record travels."""
    topics: dict[Any, str] = {**TOPIC_OF_EVENT, **TOPIC_OF_OUTPUT}
    return SerializationContext(topics[record_type], MessageField.VALUE)


INPUTS = (
    events.OrderPlaced,
    events.PaymentReceived,
    events.CustomerUpdated,
    events.GenerateJournalLines,
    events.ExchangeRatePublished,
)
OUTPUTS = (CreditDecision, HoldEntry, LimitJournal, DeadLetter, Exposure)
NAMED = {"ids": lambda record_type: record_type.__name__}
FEW = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.mark.parametrize("record_type", INPUTS, **NAMED)
@FEW
@given(data=st.data())
def test_what_confluents_serializer_writes_we_read(
    worker: Program, others: Confluent, record_type: type[Struct], data: st.DataObject
) -> None:
    """With the schemas as we publish them, looked up in the registry."""
    event = data.draw(records(record_type))
    write = others.serializer(schemas.schema_text(record_type.__name__))
    payload = write(with_defaults(event), context(record_type))
    assert payload is not None
    assert payload[:1] == b"\x00"
    assert worker.read(payload) == event


@pytest.mark.parametrize("record_type", OUTPUTS, **NAMED)
@FEW
@given(data=st.data())
def test_confluents_deserializer_reads_what_we_write(
    worker: Program, others: Confluent, record_type: type[Struct], data: st.DataObject
) -> None:
    """Outputs of a worker with a registry."""
    record = data.draw(records(record_type))
    assert worker.encode is not None
    found = others.deserialize(worker.encode(record), context(record_type))
    assert in_numbers(found) == with_defaults(record)


def test_a_newer_version_that_a_producer_registered_itself_is_read(worker: Program, others: Confluent) -> None:
    """A producer that is ahead of us: its new optional field is left out."""
    write = others.serializer(with_field("OrderPlaced", "channel"), registers=True)
    payload = write(with_defaults(ORDER) | {"channel": "web"}, context(events.OrderPlaced))
    assert payload is not None
    assert worker.read(payload) == ORDER


def test_single_objects_and_json_are_read_beside_a_registry_without_asking_it(
    connection: Connection, door: Door
) -> None:
    """Both framings, always; a stream may change from one to the other in the middle."""
    read = program_for(connected_to(door.url)).read
    door.shut()
    assert read(encode_event(ORDER)) == ORDER
    assert isinstance(read(b"{"), Fault)
    assert door.refused == 0


def test_only_outputs_are_framed_for_the_registry_by_a_worker(connection: Connection, worker: Program) -> None:
    """What tasks send each other must be readable whatever has become of a registry."""
    encode = worker.encode
    assert encode is not None
    with Registry(connection, SECONDS_MAX) as registry:
        run_id = registry.ids_of(["RunCompleted"])["RunCompleted"]
    assert encode(RUN) == confluent(run_id, encode_output(RUN)[BODY_AT:])
    posted = events.JournalLinePosted(
        event_id="e",
        occurred_at=0,
        journal_id="J",
        line=1,
        journal_type="credit_limit",
        customer_id="C1",
        credit_limit_minor=5,
        currency="EUR",
    )
    assert encode(posted) == encode_event(posted)


def test_senders_frame_events_for_the_registry(connection: Connection, worker: Program) -> None:
    """`send` and whatever else writes inputs for us; commands that read find the schemas."""
    payload = event_encoder(connection)(ORDER)
    assert payload[:1] == b"\x00"
    assert worker.read(payload) == ORDER
    with Registry(connection, SECONDS_MAX) as registry:
        assert decode(payload, registry.schema_of_id) == ORDER


def test_without_a_registry_everything_is_as_it_was() -> None:
    """Single objects; a record that is framed for one is a dead letter that says what to configure."""
    alone = Connection(brokers="localhost:1")
    assert program_for(alone) == CREDIT
    assert event_encoder(alone)(ORDER) == encode_event(ORDER)
    with pytest.raises(RegistryFailure, match="--schema-registry"):
        Registry(alone, SECONDS_MAX)
    fault = program_for(alone).read(confluent(1, b""))
    assert isinstance(fault, Fault)
    assert (fault.reason, "--schema-registry" in fault.message) == ("unreadable", True)


# --- ids that are not there -------------------------------------------------------------------------------------


def test_an_unknown_id_is_unreadable_and_asked_for_twice_and_never_again(door: Door, connection: Connection) -> None:
    """The second time for a registry of several nodes, of which one lags; no flood of the same rubbish reaches it."""
    with Registry(connected_to(door.url), SECONDS_MAX) as registry:
        faults = [registry.read(confluent(NOBODYS_ID, b"\x02")) for _ in range(100)]
    assert len(set(faults)) == 1
    [fault] = set(faults)
    assert isinstance(fault, Fault)
    assert fault.reason == "unreadable"
    assert f"under the id {NOBODYS_ID}" in fault.message
    assert [each for each in door.requests if f"/schemas/ids/{NOBODYS_ID}" in each] == door.requests
    assert len(door.requests) == 2


def test_a_flood_of_unknown_ids_costs_one_question_each_and_little_memory(
    door: Door, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for twice only while it is not a flood; what is not there is remembered up to a limit."""
    monkeypatch.setattr(registries, "CONFIRM_SECONDS", 0.0)
    monkeypatch.setattr(registries, "CONFIRMATIONS_MAX", 3)
    monkeypatch.setattr(registries, "UNKNOWN_IDS_KEPT_MAX", 10)
    ids = [NOBODYS_ID + number for number in range(20)]
    with Registry(connected_to(door.url), SECONDS_MAX) as registry:
        for schema_id in (*ids, *ids[10:]):
            assert isinstance(registry.read(confluent(schema_id, b"")), Fault)
        assert len(door.requests) == len(ids) + 3
        assert isinstance(registry.read(confluent(ids[0], b"")), Fault)
        assert len(door.requests) == len(ids) + 3 + 1


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_an_id_that_no_registry_gives_is_not_asked_for(door: Door, connection: Connection, schema_id: int) -> None:
    """Apicurio answers as if the address was wrong, which would stop the worker."""
    with Registry(connected_to(door.url), SECONDS_MAX) as registry:
        assert isinstance(registry.read(confluent(schema_id, b"")), Fault)
    assert door.requests == []


def test_a_schema_is_asked_for_once(door: Door, connection: Connection) -> None:
    """Not for each record, and not again when the registry is gone."""
    payload = event_encoder(connection)(ORDER)
    with Registry(connected_to(door.url), SECONDS_MAX) as registry:
        assert registry.read(payload) == ORDER
        door.shut()
        assert [registry.read(payload) for _ in range(3)] == [ORDER] * 3
    assert len(door.requests) == 1


# --- a registry that is not there -------------------------------------------------------------------------------


def test_a_good_record_is_not_a_dead_letter_because_the_registry_is_down(door: Door, connection: Connection) -> None:
    """It raises, for the worker to stop with the record not taken; nothing false is remembered."""
    payload = event_encoder(connection)(ORDER)
    with Registry(connected_to(door.url), SECONDS_MAX) as registry:
        door.shut()
        for asked in (payload, confluent(NOBODYS_ID, b"")):
            with pytest.raises(RegistryUnreachable, match="did not answer") as failure:
                registry.read(asked)
            assert door.url in str(failure.value)
        door.open()
        assert registry.read(payload) == ORDER
        assert isinstance(registry.read(confluent(NOBODYS_ID, b"")), Fault)


def test_a_worker_waits_for_a_registry_that_comes_back(door: Door, connection: Connection) -> None:
    """Started anew, or away for a moment: the stream goes on by itself."""
    payload = event_encoder(connection)(ORDER)
    with Registry(connected_to(door.url), DEADLINE_SECONDS) as registry, ThreadPoolExecutor() as threads:
        door.shut()
        reading = threads.submit(registry.read, payload)
        door.wait_for_refused(3)
        assert not reading.done()
        door.open()
        assert reading.result(DEADLINE_SECONDS) == ORDER


UNREACHABLE = {
    "it is overloaded": (503, b'{"error_code": 50302, "message": "overloaded"}'),
    "its storage does not answer": (500, b'{"error_code": 50001, "message": "error in the backend"}'),
    "it asks to be left alone": (429, b""),
    "something before it answers for it": (200, b"<html>Back soon</html>"),
}


@pytest.mark.parametrize(("status", "body"), UNREACHABLE.values(), ids=UNREACHABLE.keys())
def test_an_answer_that_is_none_is_asked_for_again(status: int, body: bytes) -> None:
    """Until the time is over; then it raises."""
    with (
        answering(status, body) as url,
        Registry(connected_to(url), SECONDS_MAX) as registry,
        pytest.raises(RegistryUnreachable, match="did not answer"),
    ):
        registry.read(confluent(1, b""))


NO_REGISTRY = {
    "a page that is not there": (404, b"<html>Not Found</html>", "does not answer as a schema registry does"),
    "something else that speaks JSON": (404, b'{"error_code": 404}', "does not answer as a schema registry does"),
    "nobody is let in": (401, b'{"error_code": 401, "message": "Unauthorized"}', "look at schema_registry_user"),
    "it is not allowed": (403, b'{"error_code": 40301, "message": "Forbidden"}', "look at schema_registry_user"),
}


@pytest.mark.parametrize(("status", "body", "words"), NO_REGISTRY.values(), ids=NO_REGISTRY.keys())
def test_a_wrong_address_or_login_makes_no_dead_letters(status: int, body: bytes, words: str) -> None:
    """Only the code of a registry for "there is no such schema" does; without the password in what is said."""
    with answering(status, body) as url:
        known = Connection(
            brokers="localhost:1",
            schema_registry=url,
            schema_registry_user="ana",
            schema_registry_password=Secret("pa55word"),
        )
        for ask in (lambda: Registry(known, SECONDS_MAX).read(confluent(1, b"")), lambda: program_for(known)):
            with pytest.raises(RegistryFailure, match=words) as failure:
                ask()
            assert not isinstance(failure.value, RegistryUnreachable)
            assert "pa55word" not in str(failure.value)


def test_a_registry_that_takes_connections_and_is_silent_does_not_hold_a_worker_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Confluent's client would wait without end."""
    monkeypatch.setattr(registries, "ANSWER_SECONDS_MAX", 0.2)
    with (
        silent() as url,
        Registry(connected_to(url), SECONDS_MAX) as registry,
        pytest.raises(RegistryUnreachable, match="timed out"),
    ):
        registry.read(confluent(1, b""))


# --- workers on a real Kafka ------------------------------------------------------------------------------------


def payload_of(others: Confluent, event: events.OrderPlaced, field: str | None = None) -> bytes:
    """The order as a program of others writes it, with a schema that has one more field if that is named."""
    text = schemas.schema_text("OrderPlaced") if field is None else with_field("OrderPlaced", field)
    written = others.serializer(text, registers=field is not None)(
        with_defaults(event) | ({} if field is None else {field: "web"}), context(events.OrderPlaced)
    )
    assert written is not None
    return written


def test_a_worker_takes_both_framings_from_one_topic_and_writes_in_that_of_the_registry(
    connection: Connection, others: Confluent, kafka: LocalKafka, topic_prefix: str, tmp_path: Path
) -> None:
    """Older producers, newer ones and Confluent's own side by side; what is none becomes a dead letter."""
    here = msgspec.structs.replace(system(kafka, topic_prefix), schema_registry=connection.schema_registry)
    one, two, three = (order(order_id, customer_of(0)) for order_id in ("O1", "O2", "O3"))
    with Source(here) as source:
        source.send(customer(customer_of(0)))
        source.send(one)
        for payload in (payload_of(others, two), payload_of(others, three, "channel"), confluent(NOBODYS_ID, b"\x02")):
            source.write(ORDERS, 0, payload, customer_of(0), MONDAY + 1)
    with Worker(here, tmp_path / "state") as worker:
        wait_until_taken(here, who=worker)
    written = outputs(here, (DECISIONS, DEAD_LETTERS))
    found = [others.deserialize(value, context(outputs_of(stream))) for (stream, _), value in values(written)]
    assert [each["order_id"] for each in found if "verdict" in each] == ["O1", "O2", "O3"]
    [letter] = [each for each in found if "payload" in each]
    assert (letter["reason"], letter["payload"]) == ("unreadable", confluent(NOBODYS_ID, b"\x02"))


def test_a_worker_that_loses_the_registry_stops_and_takes_the_record_when_it_is_back(
    door: Door,
    others: Confluent,
    kafka: LocalKafka,
    topic_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No dead letter, nothing committed in its place: the next start decides the order."""
    here = msgspec.structs.replace(system(kafka, topic_prefix), schema_registry=door.url)
    monkeypatch.setattr(registries, "WORKER_SECONDS_MAX", SECONDS_MAX)
    with Worker(here, tmp_path / "state") as worker:
        door.shut()
        with Source(here) as source:
            source.send(customer(customer_of(0)))
            source.write(
                ORDERS, 0, payload_of(others, order("O1", customer_of(0)), "origin"), customer_of(0), MONDAY + 1
            )
        assert isinstance(worker.wait_for_failure(), RegistryUnreachable)
    door.open()
    with Worker(here, tmp_path / "state") as worker:
        wait_until_taken(here, who=worker)
    written = outputs(here, (DECISIONS, DEAD_LETTERS))
    [found] = [others.deserialize(value, context(outputs_of(stream))) for (stream, _), value in values(written)]
    assert found["order_id"] == "O1"


def values(written: Contents) -> list[tuple[tuple[str, int], bytes]]:
    """Streams and values, in their order."""
    return [(place, value) for place, records_of in written.items() for _, value in records_of if value is not None]


def outputs_of(stream: str) -> type[Struct]:
    """The record that belongs on a stream with one."""
    return next(record_type for record_type, topic in TOPIC_OF_OUTPUT.items() if topic == stream)


# --- the command ------------------------------------------------------------------------------------------------


def register(*options: str) -> Result:
    """`credit-stream schemas register`, with nothing configured elsewhere."""
    return CliRunner(env={"CREDIT_STREAM_CONNECTION": None}).invoke(command, ["register", *options])


def test_the_command_registers_every_schema_and_says_what_was_there(
    connection: Connection, client: SchemaRegistryClient
) -> None:
    """Without knowing any broker."""
    client.delete_subject(subject_of("Recall"))
    first = register("--schema-registry", connection.schema_registry)
    assert (first.exit_code, first.stderr) == (0, "")
    assert first.stdout.startswith("credit.v1.Recall: id ")
    assert first.stdout.endswith(f"1 schemas registered; {len(RECORD_TYPES) - 1} were there\n")
    listed = json.loads(register("--schema-registry", connection.schema_registry, "--json").stdout)["schemas"]
    assert {each["subject"] for each in listed} == {subject_of(name) for name in RECORD_TYPES}
    assert not any(each["new"] for each in listed)


def test_the_command_ends_with_1_when_the_registry_refuses_or_is_not_there(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And says why."""
    text = changed("ScoreUpdated", lambda schema: schema["fields"].pop(0))
    monkeypatch.setattr(registries, "COMMAND_SECONDS_MAX", SECONDS_MAX)
    with silent() as url:
        gone = url
    result = register("--schema-registry", gone)
    assert result.exit_code == 1
    assert "did not answer" in result.stderr
    monkeypatch.setattr(
        registries, "schema_text", lambda name: text if name == "ScoreUpdated" else schemas.schema_text(name)
    )
    monkeypatch.setattr(registries, "COMMAND_SECONDS_MAX", DEADLINE_SECONDS)
    result = register("--schema-registry", connection.schema_registry)
    assert result.exit_code == 1
    assert "Registering credit.v1.ScoreUpdated failed" in result.stderr


def test_the_command_without_a_registry_is_wrong_usage() -> None:
    """Exit status 2 with the option to give."""
    result = register()
    assert result.exit_code == 2
    assert "--schema-registry URL" in result.stderr


def test_a_registry_takes_what_it_refused_before_only_when_it_goes_with_the_others(
    connection: Connection, client: SchemaRegistryClient
) -> None:
    """The tests above do not pass because the registry takes everything or nothing."""
    subject = subject_of("LimitProposed")
    with pytest.raises(SchemaRegistryError):
        client.register_schema(subject, Schema(changed("LimitProposed", lambda it: it["fields"].pop(0)), "AVRO"))
    assert client.register_schema(subject, Schema(with_field("LimitProposed", "channel"), "AVRO")) > 0
