"""Rows and their keys as bytes: what lies in a store and in the changelog.

A key is the table's name and the parent, each with its length before it, and the id: all rows under a parent are one
range, whatever characters its name has, and ids in it lie in code-point order, which is the byte order of UTF-8.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct as Layout
from typing import Any, TypeVar, cast

from msgspec import Struct, msgpack

from credit_stream.core.view import Table

R = TypeVar("R", bound=Struct)

_LENGTH = Layout(">I")
"""Bytes of the parent; big-endian. The name of a table has one byte for its length."""

PREFIXES_KEPT_MAX = 16_384
"""Of tables and parents, what their keys begin with: most keys have no parent, or a customer that was just met."""

_encoder = msgpack.Encoder()
_decoders: dict[Table[Any], msgpack.Decoder[Any]] = {}

encode_row = _encoder.encode
"""The bytes of a row, by position of its fields."""


@lru_cache(maxsize=PREFIXES_KEPT_MAX)
def encode_prefix(table: Table[Any], parent: str) -> bytes:
    """What the keys of all rows under the parent begin with, and no other key does."""
    name, under = table.name.encode(), parent.encode()
    return bytes((len(name),)) + name + _LENGTH.pack(len(under)) + under


def encode_key(table: Table[Any], parent: str, row_id: str) -> bytes:
    """The key of a row."""
    return encode_prefix(table, parent) + row_id.encode()


def decode_key(key: bytes) -> tuple[str, str, str]:
    """Table name, parent and id of a key."""
    length_at = 1 + key[0]
    parent_at = length_at + _LENGTH.size
    id_at = parent_at + _LENGTH.unpack_from(key, length_at)[0]
    return key[1:length_at].decode(), key[parent_at:id_at].decode(), key[id_at:].decode()


def decode_row(table: Table[R], data: bytes) -> R:
    """The row of these bytes."""
    decoder = _decoders.get(table)
    if decoder is None:
        decoder = _decoders[table] = msgpack.Decoder(table.row_type)
    return cast(R, decoder.decode(data))
