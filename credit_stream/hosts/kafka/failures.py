"""What can go wrong between us and a Kafka cluster. Every message says what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from credit_stream.hosts.failures import HostFailure

if TYPE_CHECKING:
    from confluent_kafka import KafkaError

    from credit_stream.hosts.kafka.connection import Connection


class KafkaFailure(HostFailure):
    """Something between us and the cluster does not work."""


class BadConnection(KafkaFailure):
    """The settings of the connection cannot be used; `faults` has one sentence for each thing to mend."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class Unreachable(KafkaFailure):
    """No broker answers, or none lets us in."""


class NotAuthorized(KafkaFailure):
    """The brokers know us and do not allow what we want."""


class WrongTopics(KafkaFailure):
    """The topics are not as the workers need them; `faults` has one sentence for each thing to mend."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class DeliveryFailed(KafkaFailure):
    """Records were given to the producer that the brokers did not acknowledge."""


class ReadingFailed(KafkaFailure):
    """A topic could not be read to its end."""


class BrokersLost(KafkaFailure):
    """The brokers did not answer in time. What was in doubt is settled at the next start."""


class Fenced(KafkaFailure):
    """Another worker has the partition now; this one has written nothing since."""


class MemberTaken(KafkaFailure):
    """Another worker has joined the group under the name that this one was given."""


class CheckpointRefused(KafkaFailure):
    """Kafka will not take a checkpoint, however often it is tried."""


class InputsLost(KafkaFailure):
    """Inputs were deleted before they were taken."""


class ChangelogLost(KafkaFailure):
    """The group has taken inputs whose results are not in the changelog."""


class OpeningCancelled(KafkaFailure):
    """A partition was taken away while it was being restored."""


class ClientMissing(KafkaFailure):
    """The Kafka client is not installed."""


_DENIED = frozenset(
    {
        "CLUSTER_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "TOPIC_AUTHORIZATION_FAILED",
        "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
    }
)
_NOBODY_ANSWERS = frozenset({"_ALL_BROKERS_DOWN", "_RESOLVE", "_TIMED_OUT", "_TRANSPORT"})
_NOT_LET_IN = frozenset({"_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED"})


def kafka_failure(
    doing: str, error: KafkaError, connection: Connection, said: KafkaError | None = None
) -> KafkaFailure:
    """The failure to raise for what librdkafka said while `doing` something ("reading credit.decisions").

    `said` is what the client complained of last: the reason behind a mere time-out is there.
    """
    cause = said if said is not None and (error.name() in _NOBODY_ANSWERS) else error
    text = f"{doing} failed: {cause.str()}."
    if cause.name() in _DENIED:
        who = connection.sasl_username or connection.oauth_client_id or connection.tls_certificate_file or "this user"
        return NotAuthorized(
            f"{text} The brokers do not allow that to {who}; give it the rights of its role: deploy/acls has them."
        )
    if cause.name() in _NOT_LET_IN:
        return Unreachable(
            f"{text} The brokers at {connection.brokers} do not let us in; look at security_protocol "
            f"({connection.security_protocol}), the user with its secret, and tls_ca_file."
        )
    if cause.name() in _NOBODY_ANSWERS:
        return Unreachable(
            f"{text} No broker answers at {connection.brokers} with {connection.security_protocol}; look at brokers, "
            "security_protocol, and whether the addresses that the brokers advertise can be reached from here."
        )
    return KafkaFailure(f"{text} Look at the logs of the brokers.")


@contextmanager
def catchable() -> Iterator[None]:
    """What is fatal for a client, as a `KafkaException`.

    Whichever call serves the client's events (`poll`, `flush`, `close`) raises it as a bare `KafkaError`, which is no
    BaseException: `except BaseException` lets it pass, and it would end a thread without anybody being told.
    """
    from confluent_kafka import KafkaError, KafkaException

    try:
        yield
    except KafkaError as error:  # type: ignore[misc]
        raise KafkaException(error) from None
    except SystemError as error:
        # A callback of ours that the same call runs afterwards finds it raised already, which Python wraps: once more
        # for each such callback.
        cause: BaseException | None = error
        while isinstance(cause, SystemError):
            cause = cause.__cause__
        if isinstance(cause, KafkaException):
            raise cause from None
        raise


def client_missing() -> ClientMissing:
    """The failure to raise where the Kafka client cannot be imported."""
    return ClientMissing("The Kafka client is not installed; install it with: pip install 'credit-stream[kafka]'")
