"""Rows and their keys as bytes: what lies in a store and in the changelog.

A key is the table's name and the parent, each with its length before it, and the id: all rows under a parent are one
range, whatever characters its name has, and ids in it lie in code-point order, which is the byte order of UTF-8.
"""

from __future__ import annotations

from struct import Struct as Layout
from typing import Any, TypeVar, cast

from msgspec import Struct, msgpack

from credit_stream.core.view import Table

R = TypeVar("R", bound=Struct)

_LENGTH = Layout(">I")
"""Bytes of the parent; big-endian. The name of a table has one byte for its length."""
_NO_PARENT = _LENGTH.pack(0)

_encoder = msgpack.Encoder()
_decoders: dict[Table[Any], msgpack.Decoder[Any]] = {}
_names: dict[Table[Any], bytes] = {}

encode_row = _encoder.encode
"""The bytes of a row, by position of its fields."""


def encode_prefix(table: Table[Any], parent: str) -> bytes:
    """What the keys of all rows under the parent begin with, and no other key does."""
    name = _names.get(table)
    if name is None:
        encoded = table.name.encode()
        name = _names[table] = bytes((len(encoded),)) + encoded
    if not parent:
        return name + _NO_PARENT
    under = parent.encode()
    return name + _LENGTH.pack(len(under)) + under


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
