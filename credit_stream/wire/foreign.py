"""Schemas and bytes that others made, which is fastavro's work: other versions of our records, and fingerprints.

The rest of `wire` does not import this until such bytes come, since fastavro takes longer to load than all of it.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.schema import fingerprint, to_parsing_canonical_form

from credit_stream.wire.schemas import schema_text

FINGERPRINT_ALGORITHM = "CRC-64-AVRO"
SCHEMAS_KEPT_MAX = 1024
"""Of parsed schemas; a registry has a handful of versions of each record."""


def fingerprint_of(text: str) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema, in the order in which its bytes stand in single-object encoding."""
    canonical = to_parsing_canonical_form(json.loads(text))
    return bytes.fromhex(fingerprint(canonical, FINGERPRINT_ALGORITHM))


def record_name_of(text: str) -> str:
    """The name, without its namespace, of the record that a schema describes; ValueError if it describes none."""
    schema = json.loads(text)
    if not isinstance(schema, dict) or schema.get("type") != "record" or not isinstance(schema.get("name"), str):
        raise ValueError("the schema describes no record")
    return str(schema["name"]).rpartition(".")[2]


def resolved(body: bytes, writer_text: str, record_name: str) -> tuple[dict[str, Any], int]:
    """A body that was written with another version of a record's schema, as our version, and how long it is.

    Days and instants stay integers. Raises what fastavro raises, which is of many kinds.
    """
    stream = io.BytesIO(body)
    found = schemaless_reader(stream, parsed(writer_text), parsed(schema_text(record_name)))
    if not isinstance(found, dict):
        raise ValueError("the body holds no record")
    return found, stream.tell()


@lru_cache(maxsize=SCHEMAS_KEPT_MAX)
def parsed(text: str) -> Any:
    """The schema as fastavro takes it, without logical types: dates and instants are the integers that we hold."""
    return parse_schema(_without_logical_types(json.loads(text)))


def _without_logical_types(schema: Any) -> Any:
    """The same schema with bare integers, which have the same bytes and the same fingerprint."""
    if isinstance(schema, list):
        return [_without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        kept = {name: part for name, part in schema.items() if name != "logicalType"}
        return {name: part if name == "default" else _without_logical_types(part) for name, part in kept.items()}
    return schema
