"""Questions and orders to a cluster about its topics, with an end to the waiting and a reason for what fails."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic
from msgspec import Struct

from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failures import Unreachable, kafka_failure

ANSWER_SECONDS_MAX = 15.0
"""For one question, from the first connection on."""
DOWN_SECONDS_MAX = 5.0
"""The same where every broker that is known refuses connections: a mistyped address, most often."""
LOOK_SECONDS = 0.1
NO_SUCH_TOPIC = "UNKNOWN_TOPIC_OR_PART"
ALREADY_THERE = "TOPIC_ALREADY_EXISTS"

QUIET = logging.getLogger("credit_stream.librdkafka")
"""Where a command's clients write instead of the terminal: what they say is in the failure that is raised."""
QUIET.addHandler(logging.NullHandler())
QUIET.propagate = False


class Topic(Struct, frozen=True):
    """A topic on the cluster. `replicas` is the number of copies of the partition with the fewest."""

    name: str
    partitions: int
    replicas: int
    has_leaders: bool


class Complaints:
    """What a client complained of last: the reason behind a time-out. It is the client's `error_cb`."""

    def __init__(self) -> None:
        self.last: KafkaError | None = None
        self._all_down = False

    def __call__(self, error: KafkaError) -> None:
        """A client that finds no broker says why first and that all are down after that; the why is kept."""
        all_down = error.name() == "_ALL_BROKERS_DOWN"
        self._all_down |= all_down
        if self.last is None or not all_down:
            self.last = error

    @property
    def are_of_all(self) -> bool:
        """Whether no broker at all could be reached."""
        return self._all_down

    @property
    def are_final(self) -> bool:
        """Whether waiting on is no use: the brokers do not let us in."""
        return self.last is not None and self.last.name() in ("_AUTHENTICATION", "_SSL")


class ClusterAdmin:
    """One administrative client. Raises `KafkaFailure` for whatever goes wrong."""

    def __init__(self, connection: Connection, seconds_max: float = ANSWER_SECONDS_MAX) -> None:
        self._connection = connection
        self._seconds_max = seconds_max
        self._complaints = Complaints()
        settings: dict[str, Any] = {**connection.client(), "error_cb": self._complaints}
        try:
            self._client = AdminClient(settings, logger=QUIET)
        except KafkaException as error:
            raise kafka_failure("setting up the Kafka client", error.args[0], connection) from None

    def brokers(self) -> int:
        """How many brokers there are."""
        asked = self._client.describe_cluster(request_timeout=self._seconds_max)
        self._wait([asked], "asking for the brokers")
        return len(self._result(asked, "asking for the brokers").nodes)

    def topics(self, names: Sequence[str], *, only_allowed: bool = False) -> dict[str, Topic | None]:
        """The topics of these names on the cluster, None where there is none.

        With `only_allowed` those that this user may not see are left out, if there are others.
        """
        doing = "asking for the topics"
        asked = self._client.describe_topics(TopicCollection(list(names)), request_timeout=self._seconds_max)
        self._wait(asked.values(), doing)
        allowed = {name: found for name, found in asked.items() if not _is_denied(found)}
        shown = allowed if only_allowed and allowed else asked
        return {name: self._topic(name, found, f"{doing} ({name})") for name, found in shown.items()}

    def _topic(self, name: str, asked: Future[Any], doing: str) -> Topic | None:
        if _is_unknown(asked):
            return None
        partitions = self._result(asked, doing).partitions
        return Topic(
            name=name,
            partitions=len(partitions),
            replicas=min(len(each.replicas) for each in partitions),
            # A leader of -1 comes as None or as a node of that number, by release of the library.
            has_leaders=all(each.leader is not None and each.leader.id >= 0 for each in partitions),
        )

    def settings(self, names: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """The settings that hold for these topics, the brokers' defaults among them.

        One that the broker does not know is left out: it has gone since it was seen, or is not known everywhere yet.
        """
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        doing = "asking for the settings of the topics"
        asked = self._client.describe_configs(resources, request_timeout=self._seconds_max)
        self._wait(asked.values(), doing)
        return {
            resource.name: {name: entry.value for name, entry in self._result(found, doing).items()}
            for resource, found in asked.items()
            if not _is_unknown(found)
        }

    def create(self, topics: Sequence[NewTopic]) -> list[str]:
        """Makes topics; the names of those that were made. One that was there a moment before is left as it is."""
        if not topics:
            return []
        asked = self._client.create_topics(
            list(topics), request_timeout=self._seconds_max, operation_timeout=self._seconds_max
        )
        self._wait(asked.values(), "making the topics")
        made = []
        for name, future in asked.items():
            error = _error_of(future)
            if error is None:
                made.append(name)
            elif error.name() != ALREADY_THERE:
                raise kafka_failure(f"making the topic {name}", error, self._connection, self._complaints.last)
        return made

    def _wait(self, asked: Collection[Future[Any]], doing: str) -> None:
        """Until all is answered or it is clear that nothing will be: then the reason is raised."""
        begun = monotonic()
        while wait(asked, timeout=LOOK_SECONDS).not_done:
            self._client.poll(0)
            seconds_max = DOWN_SECONDS_MAX if self._complaints.are_of_all else self._seconds_max + 1
            if self._complaints.are_final or monotonic() - begun > seconds_max:
                said = self._complaints.last
                if said is None:
                    raise Unreachable(f"{doing} failed: {self._connection.brokers} did not answer in time. Try again.")
                raise kafka_failure(doing, said, self._connection)
        self._client.poll(0)

    def _result(self, asked: Future[Any], doing: str) -> Any:
        error = _error_of(asked)
        if error is not None:
            raise kafka_failure(doing, error, self._connection, self._complaints.last)
        return asked.result()


def _is_unknown(asked: Future[Any]) -> bool:
    error = _error_of(asked)
    return error is not None and error.name() == NO_SUCH_TOPIC


def _is_denied(asked: Future[Any]) -> bool:
    error = _error_of(asked)
    return error is not None and error.name() == "TOPIC_AUTHORIZATION_FAILED"


def _error_of(asked: Future[Any]) -> KafkaError | None:
    error = asked.exception()
    if error is None:
        return None
    if isinstance(error, KafkaException):
        found: KafkaError = error.args[0]
        return found
    raise error
