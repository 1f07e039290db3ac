"""The topics of the system on a cluster: what each must be like, making them, and looking whether they are so.

Every stream is a topic. All have the same number of partitions, so that everything of one customer meets in one task;
only `BROADCAST_TOPICS`, which every task reads whole, have one. A worker looks at the topics before it begins, because
what is wrong with them shows later as decisions that are wrong or proof that is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic, sleep

from confluent_kafka.cimpl import NewTopic
from msgspec import Struct

from credit_stream.core.topics import (
    BROADCAST_TOPICS,
    EXPOSURES,
    HOLDS,
    INPUT_TOPICS,
    JOURNALS,
    ORDERS,
    SEQUENCE,
    STATE,
    STATISTICS,
    TOPIC_OF_OUTPUT,
)
from credit_stream.hosts.kafka.admin import ClusterAdmin, Topic
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import WrongTopics
from credit_stream.wire.checks import MESSAGE_BYTES_MAX

PARTITIONS_DEFAULT = 6
PARTITIONS_MAX = 1_024
REPLICATION_DEFAULT = 3
"""Where there are so many brokers, else as many as there are."""
IN_SYNC_MIN = 2
"""Copies that have a record before it counts as written, where there are three or more: one disk may then be lost."""
RECORD_BYTES_MAX = 4 * MESSAGE_BYTES_MAX
"""Of one record with key and head: an event, and a dead letter or a journal that holds one and more. Brokers take
1,048,588 bytes unless told otherwise, which is not even the largest event with its key."""
ROW_BYTES_MAX = 32 * MESSAGE_BYTES_MAX
"""Of one row in the changelog: an event id keeps the decisions that it led to, so that a repeat gives the same again,
and one command may lead to thousands."""
DAY_MS = 86_400_000
TOMBSTONE_DAYS = 7
"""So long the end of a row can be read in a compacted topic. A worker that comes back with its old directory, or a
reader that was down, sees it only until then."""
PROOF_DAYS_MIN = 400
"""Inputs and sequence that are deleted sooner could not even be compared with what the event ids still remember."""
STATE_SEGMENT_BYTES = 64 * 1024 * 1024
"""The newest segment of a partition is never compacted; with Kafka's 1 GiB a restore would read so much of old rows."""
MADE_SECONDS_MAX = 60.0
"""For new topics to have leaders everywhere."""
LOOK_SECONDS = 0.2
FOREVER = "-1"

COMPACTED = frozenset({HOLDS, EXPOSURES, JOURNALS, STATISTICS, STATE})
"""Of each key only the last record counts (spec 11), so that only it need be kept."""
PROOF = frozenset({*INPUT_TOPICS, SEQUENCE})
"""What a replay needs, whole and for ever: everything else can be made from it again."""


class TopicSpec(Struct, frozen=True):
    """What the topic of a stream is like."""

    stream: str
    is_broadcast: bool
    is_compacted: bool
    is_input: bool
    is_proof: bool

    def partitions(self, partitions: int) -> int:
        """How many it has where the others have so many."""
        return 1 if self.is_broadcast else partitions

    def settings(self, replication: int) -> dict[str, str]:
        """With which it is made."""
        settings = {
            "cleanup.policy": self.cleanup_policy,
            "compression.type": "producer",
            "max.message.bytes": str(self.record_bytes_max),
            "message.timestamp.type": "CreateTime",
            "min.insync.replicas": str(IN_SYNC_MIN if replication > IN_SYNC_MIN else 1),
            "unclean.leader.election.enable": "false",
        }
        if self.is_compacted:
            settings["delete.retention.ms"] = str(TOMBSTONE_DAYS * DAY_MS)
        else:
            settings |= {"retention.ms": FOREVER, "retention.bytes": FOREVER}
        if self.stream == STATE:
            settings["segment.bytes"] = str(STATE_SEGMENT_BYTES)
        return settings

    @property
    def record_bytes_max(self) -> int:
        """Bytes of the largest record."""
        return ROW_BYTES_MAX if self.stream == STATE else RECORD_BYTES_MAX

    @property
    def cleanup_policy(self) -> str:
        """Kafka's word for what becomes of old records."""
        return "compact" if self.is_compacted else "delete"


def _spec(stream: str) -> TopicSpec:
    return TopicSpec(
        stream=stream,
        is_broadcast=stream in BROADCAST_TOPICS,
        is_compacted=stream in COMPACTED,
        is_input=stream in INPUT_TOPICS,
        is_proof=stream in PROOF,
    )


OUTPUT_TOPICS: tuple[str, ...] = tuple(dict.fromkeys(TOPIC_OF_OUTPUT.values()))
TOPICS: Mapping[str, TopicSpec] = {stream: _spec(stream) for stream in (*INPUT_TOPICS, *OUTPUT_TOPICS, STATE, SEQUENCE)}
"""All topics, by stream."""


class Inspection(Struct, frozen=True):
    """What was found: `faults` with which no worker may begin, `warnings` that somebody should know of.

    `partitions` is the number that most topics have; None when there is no topic at all.
    """

    partitions: int | None
    faults: list[str]
    warnings: list[str]


class Created(Struct, frozen=True):
    """What `create` made and what was there before, by stream; and what is to be said of all of them now."""

    partitions: int
    replication: int
    made: list[str]
    left: list[str]
    inspection: Inspection


# --- looking ----------------------------------------------------------------------------------------------------


def check(connection: Connection, partitions: int | None = None) -> list[str]:
    """Every fault of the topics, as a sentence that says what to do; none: workers may begin.

    `partitions`: how many there ought to be, if the caller knows. Raises KafkaFailure when the cluster cannot be asked.
    """
    return inspect(connection, partitions).faults


def inspect(connection: Connection, partitions: int | None = None) -> Inspection:
    """Faults and warnings. Raises KafkaFailure when the cluster cannot be asked."""
    return _inspect(ClusterAdmin(connection), connection, partitions)


def partitions_of(connection: Connection, streams: Sequence[str] = INPUT_TOPICS) -> int:
    """The number of partitions of the system, as far as this user may see its topics.

    Raises WrongTopics when the topics of these streams disagree on it.
    """
    names = {connection.topic(stream): stream for stream in streams}
    allowed = ClusterAdmin(connection).topics(list(names), only_allowed=True)
    found = {names[name]: topic for name, topic in allowed.items()}
    faults = [*_faults_of_absence(connection, found), *_faults_of_partitions(connection, found, None)]
    number = _partitions(found)
    if faults or number is None:
        raise WrongTopics(faults)
    return number


def _topics(admin: ClusterAdmin, connection: Connection, streams: Sequence[str]) -> dict[str, Topic | None]:
    names = {connection.topic(stream): stream for stream in streams}
    return {names[name]: topic for name, topic in admin.topics(list(names)).items()}


def _inspect(admin: ClusterAdmin, connection: Connection, partitions: int | None) -> Inspection:
    return judged(connection, *_found(admin, connection), partitions)


def _found(admin: ClusterAdmin, connection: Connection) -> tuple[dict[str, Topic | None], dict[str, Mapping[str, str]]]:
    """All topics by stream, None where there is none, and by topic the settings of those that are there."""
    found = _topics(admin, connection, list(TOPICS))
    settings = admin.settings([topic.name for topic in found.values() if topic is not None])
    there = {stream: topic if topic is not None and topic.name in settings else None for stream, topic in found.items()}
    return there, settings


def judged(
    connection: Connection,
    found: Mapping[str, Topic | None],
    settings: Mapping[str, Mapping[str, str]],
    partitions: int | None = None,
) -> Inspection:
    """What is to be said of topics (by stream) with these settings (by topic)."""
    there = {stream: topic for stream, topic in found.items() if topic is not None}
    faults = [*_faults_of_absence(connection, found), *_faults_of_partitions(connection, found, partitions)]
    faults += _faults_of_replication(there)
    warnings = list(_warnings_of_replication(there))
    for stream, topic in there.items():
        faults += _faults_of_settings(TOPICS[stream], topic, settings[topic.name])
        warnings += _warnings_of_settings(TOPICS[stream], topic, settings[topic.name])
    return Inspection(_partitions(found), faults, warnings)


def _partitions(found: Mapping[str, Topic | None]) -> int | None:
    """The number that most topics have; of two that equally many have, the one of the orders."""
    numbers = Counter(
        topic.partitions for stream, topic in found.items() if topic is not None and not TOPICS[stream].is_broadcast
    )
    if not numbers:
        return None
    orders = found.get(ORDERS)
    preferred = None if orders is None else orders.partitions
    return max(numbers, key=lambda number: (numbers[number], number == preferred))


def _faults_of_absence(connection: Connection, found: Mapping[str, Topic | None]) -> Iterator[str]:
    missing = [connection.topic(stream) for stream, topic in found.items() if topic is None]
    if not missing:
        return
    what = "None of the topics is there" if len(missing) == len(found) else f"Missing: {', '.join(missing)}"
    hint = "" if len(missing) < len(found) else f" (the first is {missing[0]}; is topic_prefix right?)"
    yield f"{what}{hint}. Make what is missing with: credit-stream topics create"


def _faults_of_partitions(
    connection: Connection, found: Mapping[str, Topic | None], expected: int | None
) -> Iterator[str]:
    number = _partitions(found) if expected is None else expected
    for stream, topic in found.items():
        if topic is None or number is None:
            continue
        must = TOPICS[stream].partitions(number)
        if topic.partitions == must:
            continue
        if TOPICS[stream].is_broadcast:
            yield (
                f"{topic.name} has {topic.partitions} partitions; it must have exactly 1, because every task reads the "
                f"whole of it in one order. {_how_to_repartition()}"
            )
        else:
            others = "the system was to have" if expected is not None else "most other topics have"
            yield (
                f"{topic.name} has {topic.partitions} partitions, {others} {number}; all must have the same number, "
                f"or what belongs to one customer meets in different tasks. {_how_to_repartition()}"
            )


def _how_to_repartition() -> str:
    return (
        "The number of partitions of a topic in use cannot be changed, because keys would move: make new topics under "
        "another topic_prefix and send the inputs into them (docs/kafka.md, Changing the number of partitions)."
    )


def _faults_of_replication(there: Mapping[str, Topic]) -> Iterator[str]:
    most = max((topic.replicas for topic in there.values()), default=0)
    for topic in there.values():
        if topic.replicas < most:
            yield (
                f"{topic.name} has {_copies(topic.replicas)}, other topics have {most}; the weakest decides what a "
                "lost broker costs. Give it as many with kafka-reassign-partitions."
            )


def _warnings_of_replication(there: Mapping[str, Topic]) -> Iterator[str]:
    most = max((topic.replicas for topic in there.values()), default=REPLICATION_DEFAULT)
    if most < REPLICATION_DEFAULT:
        yield (
            f"The topics have {_copies(most)} of each record; a lost disk can lose what was acknowledged. "
            "Use 3 on a cluster that matters."
        )


def _faults_of_settings(spec: TopicSpec, topic: Topic, settings: Mapping[str, str]) -> Iterator[str]:
    if set(settings["cleanup.policy"].split(",")) != {spec.cleanup_policy}:
        why = "rows would be deleted by age" if spec.is_compacted else "earlier records of a key would be deleted"
        yield _wrong(topic, settings, "cleanup.policy", why, spec.cleanup_policy)
    if spec.is_proof and _deletes_early(settings):
        why = f"inputs and their sequence are the proof of every decision; keep them {PROOF_DAYS_MIN} days at least"
        yield _wrong(topic, settings, "retention.ms", why, FOREVER)
    if spec.is_proof and int(settings["retention.bytes"]) >= 0:
        why = "inputs and their sequence are the proof of every decision, however much they are"
        yield _wrong(topic, settings, "retention.bytes", why, FOREVER)
    if spec.stream == STATE and int(settings["delete.retention.ms"]) < TOMBSTONE_DAYS * DAY_MS:
        why = f"a worker that comes back within {TOMBSTONE_DAYS} days must see which rows have ended"
        yield _wrong(topic, settings, "delete.retention.ms", why, str(TOMBSTONE_DAYS * DAY_MS))
    if int(settings["max.message.bytes"]) < spec.record_bytes_max:
        why = "the largest record would be refused, and the worker would stand still before it"
        yield _wrong(topic, settings, "max.message.bytes", why, str(spec.record_bytes_max))
    if spec.is_input and settings["message.timestamp.type"] != "CreateTime":
        why = "a cold start takes the inputs in the order in which they occurred, not in which they were written"
        yield _wrong(topic, settings, "message.timestamp.type", why, "CreateTime")
    if settings["unclean.leader.election.enable"] == "true":
        why = "a copy that lags could become leader, and what was acknowledged would be lost"
        yield _wrong(topic, settings, "unclean.leader.election.enable", why, "false")
    yield from _faults_of_in_sync(topic, settings)


def _faults_of_in_sync(topic: Topic, settings: Mapping[str, str]) -> Iterator[str]:
    in_sync = int(settings["min.insync.replicas"])
    if topic.replicas > IN_SYNC_MIN and in_sync < IN_SYNC_MIN:
        why = f"of {topic.replicas} copies one alone could acknowledge a record and be lost with it"
        yield _wrong(topic, settings, "min.insync.replicas", why, str(IN_SYNC_MIN))
    if in_sync > topic.replicas:
        why = f"there are only {topic.replicas} copies, so nothing can be written"
        yield _wrong(topic, settings, "min.insync.replicas", why, str(min(IN_SYNC_MIN, topic.replicas)))


def _warnings_of_settings(spec: TopicSpec, topic: Topic, settings: Mapping[str, str]) -> Iterator[str]:
    kept_ms = int(settings["retention.ms"])
    if spec.is_proof and not _deletes_early(settings) and kept_ms >= 0:
        yield f"{topic.name} keeps records {kept_ms // DAY_MS} days; a replay of what is older will not be possible."
    oldest_ms = int(settings.get("message.timestamp.before.max.ms", str(2**63 - 1)))
    if spec.is_input and oldest_ms < PROOF_DAYS_MIN * DAY_MS:
        yield (
            f"{topic.name} refuses records that are older than {oldest_ms // DAY_MS} days "
            "(message.timestamp.before.max.ms); a history cannot be sent into it."
        )
    if 1 < topic.replicas == int(settings["min.insync.replicas"]):
        yield (
            f"{topic.name} cannot be written to while one broker is down: min.insync.replicas is {topic.replicas}, "
            "as many as there are copies."
        )


def _deletes_early(settings: Mapping[str, str]) -> bool:
    return 0 <= int(settings["retention.ms"]) < PROOF_DAYS_MIN * DAY_MS


def _wrong(topic: Topic, settings: Mapping[str, str], name: str, why: str, value: str) -> str:
    command = f"kafka-configs --alter --entity-type topics --entity-name {topic.name} --add-config {name}={value}"
    return f"{topic.name} has {name}={settings[name]}: {why}. Mend it: {command}"


def _copies(number: int) -> str:
    return "1 copy" if number == 1 else f"{number} copies"


# --- making -----------------------------------------------------------------------------------------------------


def create(connection: Connection, partitions: int | None = None, replication: int | None = None) -> Created:
    """Makes the topics that are missing and leaves the others as they are; a second call makes nothing.

    Without `partitions` new topics get as many as those that are there. Raises WrongTopics when `partitions` is another
    number, KafkaFailure when the cluster refuses.
    """
    admin = ClusterAdmin(connection)
    found = _topics(admin, connection, list(TOPICS))
    number = _number_to_make(connection, found, partitions)
    copies = _copies_to_make(admin, found, replication)
    names = admin.create(
        [
            NewTopic(connection.topic(stream), spec.partitions(number), copies, config=spec.settings(copies))
            for stream, spec in TOPICS.items()
            if found[stream] is None
        ]
    )
    _wait_for_leaders(admin, names)
    made = {connection.stream(name) for name in names}
    return Created(
        partitions=number,
        replication=copies,
        made=[stream for stream in TOPICS if stream in made],
        left=[stream for stream in TOPICS if stream not in made],
        inspection=_inspect_made(admin, connection, number),
    )


def _inspect_made(admin: ClusterAdmin, connection: Connection, partitions: int) -> Inspection:
    """Looks again while the broker that is asked does not know yet what another one has just made."""
    deadline = monotonic() + MADE_SECONDS_MAX
    while True:
        found, settings = _found(admin, connection)
        if None not in found.values() or monotonic() >= deadline:
            return judged(connection, found, settings, partitions)
        sleep(LOOK_SECONDS)


def _number_to_make(connection: Connection, found: Mapping[str, Topic | None], wanted: int | None) -> int:
    there = _partitions(found)
    if there is None:
        return PARTITIONS_DEFAULT if wanted is None else wanted
    if wanted is not None and wanted != there:
        raise WrongTopics([f"The topics are there with {there} partitions, not {wanted}. {_how_to_repartition()}"])
    faults = list(_faults_of_partitions(connection, found, there))
    if faults:
        raise WrongTopics(faults)
    return there


def _copies_to_make(admin: ClusterAdmin, found: Mapping[str, Topic | None], wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    there = max((topic.replicas for topic in found.values() if topic is not None), default=None)
    return min(REPLICATION_DEFAULT, admin.brokers()) if there is None else there


def _wait_for_leaders(admin: ClusterAdmin, names: Sequence[str]) -> None:
    """A topic that was just made is not known everywhere at once, and its first readers would fail."""
    deadline = monotonic() + MADE_SECONDS_MAX
    while names and monotonic() < deadline:
        if all(topic is not None and topic.has_leaders for topic in admin.topics(names).values()):
            return
        sleep(LOOK_SECONDS)
