"""A message of confluent-kafka as an input of the engine."""

from __future__ import annotations

from confluent_kafka import Message

from credit_stream.engine.ports import InputRecord


def input_record(stream: str, partition: int, message: Message) -> InputRecord:
    """The record with its bytes as they came. Where the key is no text, nobody could have meant it."""
    key = message.key()
    _, timestamp = message.timestamp()
    return InputRecord(
        stream,
        partition,
        message.offset() or 0,
        timestamp,
        None if key is None else key_text(key),
        message.value() or b"",
    )


def key_text(key: bytes | str) -> str | None:
    """The key, or None where it is not UTF-8."""
    if isinstance(key, str):
        return key
    try:
        return key.decode()
    except UnicodeDecodeError:
        return None
