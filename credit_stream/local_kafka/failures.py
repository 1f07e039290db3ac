"""What can go wrong with a Kafka of this machine. Every message says what to do."""

from __future__ import annotations


class LocalKafkaUnavailable(Exception):
    """This machine lacks a part that a local Kafka needs, or cannot fetch it. The message says which."""


class LocalKafkaFailed(Exception):
    """A broker or the registry did not start, or ended. The message has the last lines of its log."""
