"""The schema registry: which schema an id stands for, and under which ids we write (interface section 1).

Subjects are named after records (`credit.v1.CreditDecision`), so that a schema is the same in whatever topic its record
travels. `topics create` and `schemas register` put the schemas there; a worker only looks its ids up, at its start.

What is read must not depend on when it is read. An id stands for one schema for ever, so an answer is kept for ever; a
registry that does not answer says nothing about the record, so it is asked again for a while, and then the worker stops
with the record not taken. Only a registry's own "there is no such schema" makes a dead letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from time import monotonic, sleep
from types import TracebackType
from typing import NoReturn, Self, TypeVar
from weakref import finalize

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from msgspec import Struct

from credit_stream.core.events import Event
from credit_stream.core.outputs import OutputRecord
from credit_stream.engine.task import Program
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import KafkaFailure
from credit_stream.hosts.program import CREDIT
from credit_stream.wire.avro import encoder_with_ids
from credit_stream.wire.currencies import CURRENCIES
from credit_stream.wire.faults import Fault
from credit_stream.wire.read import read_event
from credit_stream.wire.records import EVENT_TYPES, OUTPUT_TYPES, RECORD_TYPES
from credit_stream.wire.schemas import NAMESPACE, meaning_of, schema_text

T = TypeVar("T")

COMPATIBILITY = "FULL_TRANSITIVE"
"""Of every subject: old readers read new records and new readers old ones, of all versions, not only of the last.
Stricter than the BACKWARD_TRANSITIVE that we need ourselves: others read our outputs with the schema that they have."""
ANSWER_SECONDS_MAX = 5.0
"""For one request. The client has no limit of its own: a registry that accepts and is silent would hold it for ever."""
COMMAND_SECONDS_MAX = 15.0
"""For all tries of one request of a command, where somebody is waiting."""
WORKER_SECONDS_MAX = 60.0
"""The same for a worker that reads: as long as a registry takes to be started anew. It has no transaction open then."""
AGAIN_SECONDS, AGAIN_SECONDS_MAX = 0.1, 2.0
"""Between tries; doubled each time."""
CONFIRM_SECONDS = 1.0
"""A registry of several nodes may not know an id yet that another node has just given: so an unknown one is asked for a
second time."""
CONFIRMATIONS_MAX = 20
"""After so many ids that stayed unknown, somebody is sending rubbish, and a second for each would stop the stream."""
UNKNOWN_IDS_KEPT_MAX = 100_000
"""Of ids that the registry does not have; each is asked for once. About 10 MB."""
SCHEMA_ID_MAX = 2**31 - 1
"""Registries count from 1 in 32 bits with a sign. Beyond that Apicurio answers as if the address was wrong."""

_SCHEMA_NOT_FOUND = 40403
_NOT_THERE = frozenset({40401, 40402, 40403})
"""Subject, version, schema: the codes with which a registry says no. A 404 with another comes from something else."""
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})


class RegistryFailure(KafkaFailure):
    """Something between us and the schema registry does not work."""


class RegistryUnreachable(RegistryFailure):
    """The schema registry does not answer."""


class WrongSchemas(RegistryFailure):
    """The schemas in the registry are not as we need them; `faults` has one sentence for each thing to mend."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Registration(Struct, frozen=True):
    """Under which id a record's schema is in the registry, and whether it is only now."""

    record_name: str
    schema_id: int
    is_new: bool

    @property
    def subject(self) -> str:
        """The name of its versions in the registry."""
        return subject_of(self.record_name)


def subject_of(record_name: str) -> str:
    """The record's name in full, which is what the serializers call RecordNameStrategy."""
    return f"{NAMESPACE}.{record_name}"


# --- for workers and commands -----------------------------------------------------------------------------------


def program_for(connection: Connection) -> Program:
    """What a worker of this connection runs. With a registry its inputs may be framed for one and its outputs are.

    Raises `WrongSchemas` where the outputs have no id yet, and `RegistryFailure`.
    """
    if not connection.schema_registry:
        return CREDIT
    registry = Registry(connection, WORKER_SECONDS_MAX)
    return CREDIT._replace(read=registry.read, encode=encoder_with_ids(registry.ids_of(OUTPUT_TYPES)))


def event_encoder(connection: Connection) -> Callable[[OutputRecord | Event], bytes]:
    """What a sender of events writes with: framed for the registry if there is one, whose ids are looked up now.

    Raises `WrongSchemas` where the events have no id yet, and `RegistryFailure`.
    """
    if not connection.schema_registry:
        return encoder_with_ids({})
    with Registry(connection, COMMAND_SECONDS_MAX) as registry:
        return encoder_with_ids(registry.ids_of(EVENT_TYPES))


def register_all(
    connection: Connection,
    record_names: Iterable[str] = RECORD_TYPES,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Registration]:
    """Puts the schema of every record into the registry, if nothing that says the same is there; harmless twice.

    `on_progress` is told how many are done. Raises `WrongSchemas` with all that the registry refused, when the others
    are done; `RegistryFailure`.
    """
    registered: list[Registration] = []
    faults: list[str] = []
    with Registry(connection, COMMAND_SECONDS_MAX) as registry:
        for done, name in enumerate(record_names, 1):
            try:
                registered.append(registry.register(name))
            except WrongSchemas as refused:
                faults += refused.faults
            on_progress(done)
    if faults:
        raise WrongSchemas(faults)
    return registered


class Registry:
    """The registry of a connection. Every question is asked again until `seconds_max` are over.

    Use it in a `with`, or leave it to whoever holds one of its methods: it closes when nobody does any more.
    """

    def __init__(self, connection: Connection, seconds_max: float) -> None:
        settings = connection.registry()
        if settings is None:
            raise RegistryFailure("No schema registry is configured: give --schema-registry URL.")
        # Asking again is done here, where it has one limit in all, and not one for each address and try.
        self._client = SchemaRegistryClient({**settings, "timeout": ANSWER_SECONDS_MAX, "max.retries": 0})
        self._closing = finalize(self, self._client.close)
        self._url = connection.schema_registry
        self._seconds_max = seconds_max
        self._texts: dict[int, str] = {}
        self._unknown: dict[int, None] = {}
        self._confirmations_left = CONFIRMATIONS_MAX

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing()

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self, payload: bytes) -> Event | Fault:
        """As `read_event`, with the schemas of this registry. Raises `RegistryFailure` when it does not answer."""
        return read_event(payload, CURRENCIES, self.schema_of_id)

    def schema_of_id(self, schema_id: int) -> str:
        """The text of the schema; LookupError if the registry has none. Each id is asked for once."""
        text = self._texts.get(schema_id)
        if text is not None:
            return text
        if schema_id in self._unknown or not 0 < schema_id <= SCHEMA_ID_MAX:
            raise LookupError(schema_id)
        text = self._fetch(schema_id)
        if text is None:
            self._note_unknown(schema_id)
            raise LookupError(schema_id)
        self._texts[schema_id] = text
        return text

    def _fetch(self, schema_id: int) -> str | None:
        text = self._fetch_once(schema_id)
        if text is None and self._confirmations_left:
            sleep(CONFIRM_SECONDS)
            text = self._fetch_once(schema_id)
            self._confirmations_left -= text is None
        return text

    def _fetch_once(self, schema_id: int) -> str | None:
        doing = f"Asking for the schema with the id {schema_id}"
        try:
            schema = self._ask(doing, lambda: self._client.get_schema(schema_id))
        except SchemaRegistryError as error:
            if error.error_code == _SCHEMA_NOT_FOUND:
                return None
            self._refused(doing, error)
        return schema.schema_str or ""

    def _note_unknown(self, schema_id: int) -> None:
        if len(self._unknown) >= UNKNOWN_IDS_KEPT_MAX:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[schema_id] = None

    # --- ids and schemas of our own ----------------------------------------------------------------------------------

    def ids_of(self, record_names: Iterable[str]) -> dict[str, int]:
        """Under which id each record is written. Raises `WrongSchemas` where the registry has none that is ours."""
        found = {name: self._id_of(name) for name in record_names}
        missing = [subject_of(name) for name, schema_id in found.items() if schema_id is None]
        if missing:
            command = f"credit-stream schemas register --schema-registry {self._url}"
            raise WrongSchemas(
                [
                    f"The schema registry has no schema of {name} as this version writes it: {command}"
                    for name in missing
                ]
            )
        return {name: schema_id for name, schema_id in found.items() if schema_id is not None}

    def register(self, record_name: str) -> Registration:
        """Puts the record's schema into its subject, if no version there says the same; sets what versions may change.

        Raises `WrongSchemas` when the registry does not take it.
        """
        subject = subject_of(record_name)
        doing = f"Registering {subject}"
        try:
            # First of all, so that a schema which does not go with those that are there is refused.
            self._ask(doing, lambda: self._client.set_compatibility(subject, COMPATIBILITY))
            known = self._id_of(record_name)
            if known is not None:
                return Registration(record_name, known, is_new=False)
            # Stripped, as Confluent's serializers ask for the same file: Apicurio compares texts, not what they say.
            schema = Schema(schema_text(record_name).strip(), "AVRO")
            given = self._ask(doing, lambda: self._client.register_schema(subject, schema))
        except SchemaRegistryError as error:
            self._refused(doing, error)
        return Registration(record_name, given, is_new=True)

    def _id_of(self, record_name: str) -> int | None:
        """The id of the first version that says what our schema says.

        Not of the last one, nor of that with the very same text: versions are only ever added, so that all workers find
        the same id, whatever was registered between their starts by others, with other words for people in it.
        """
        subject, ours = subject_of(record_name), meaning_of(schema_text(record_name))
        doing = f"Looking {subject} up"
        try:
            for version in sorted(self._ask(doing, lambda: self._client.get_versions(subject))):
                found = self._ask(doing, lambda version=version: self._client.get_version(subject, version))  # type: ignore[misc]
                if _says(found.schema.schema_str or "", ours):
                    return found.schema_id
        except SchemaRegistryError as error:
            if error.error_code not in _NOT_THERE:
                self._refused(doing, error)
        return None

    # --- asking ------------------------------------------------------------------------------------------------------

    def _ask(self, doing: str, question: Callable[[], T]) -> T:
        """The answer. Raises `SchemaRegistryError` for a definite no, `RegistryUnreachable` when the time is over."""
        give_up_at = monotonic() + self._seconds_max
        for tried in count():
            try:
                return question()
            # What the client's HTTP library raises is passed on as it is, and which library that is has changed.
            except Exception as error:
                if isinstance(error, SchemaRegistryError) and error.http_status_code not in _TRANSIENT:
                    raise
                if monotonic() >= give_up_at:
                    raise self._unreachable(doing, error) from error
            sleep(min(AGAIN_SECONDS * 2 ** min(tried, 10), AGAIN_SECONDS_MAX))
        raise AssertionError("count() has no end")

    def _unreachable(self, doing: str, error: Exception) -> RegistryUnreachable:
        return RegistryUnreachable(
            f"{doing} failed: {str(error) or type(error).__name__}. The schema registry at {self._url} did not answer "
            f"within {self._seconds_max:.0f} s. Nothing became a dead letter for that: look at schema_registry and at "
            "the registry, then start again."
        )

    def _refused(self, doing: str, error: SchemaRegistryError) -> NoReturn:
        """Raises what a definite no means that is no answer to the question."""
        said = f"{doing} failed: {error}."
        if error.http_status_code in (409, 422):
            raise WrongSchemas(
                [f"{said} Compare with the last release: credit-stream schemas check. Nothing was changed there."]
            ) from error
        if error.http_status_code in (401, 403):
            raise RegistryFailure(
                f"{said} The schema registry at {self._url} does not let us; look at schema_registry_user and its "
                "password, and at what the registry allows that user."
            ) from error
        raise RegistryFailure(
            f"{said} What answers at {self._url} does not answer as a schema registry does; give the whole address of "
            "its Confluent-compatible interface, such as http://HOST:8080/apis/ccompat/v7 of an Apicurio."
        ) from error


def _says(text: str, meaning: str) -> bool:
    try:
        return meaning_of(text) == meaning
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
