"""Schemas and bytes that others made, which is fastavro's work: other versions of our records, and fingerprints.

The rest of `wire` does not import this until such bytes come, since fastavro takes longer to load than all of it.
"""

from __future__ import annotations

import io
import json
from functools import lru_cache
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import fingerprint, to_parsing_canonical_form

from credit_stream.wire.faults import QUOTED_CHARS_MAX
from credit_stream.wire.schemas import meaning_of, schema_text

FINGERPRINT_ALGORITHM = "CRC-64-AVRO"
SCHEMAS_KEPT_MAX = 1024
"""Of parsed schemas; a registry has a handful of versions of each record."""
REASON_CHARS_MAX = 3 * QUOTED_CHARS_MAX
"""Of what a library said; fastavro puts whole schemas into its sentences."""


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

    Days and instants stay integers. Raises what fastavro raises, which is of many kinds: `reason_of` says it in words.
    About 28 us for an order of 150 bytes, five times what our own decoder takes with the checks.
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


def reason_of(error: Exception) -> str:
    """Why a body could not be resolved, in words that are the same each time."""
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, UnicodeDecodeError):
        return "a text is not UTF-8"
    if isinstance(error, IndexError):
        return "an index is one that its enum or union does not have"
    if isinstance(error, SchemaResolutionError | msgspec.ValidationError):
        said = str(error)
        return said if len(said) <= REASON_CHARS_MAX else f"{said[:REASON_CHARS_MAX]}..."
    return f"the bytes are not of their schema ({type(error).__name__})"


# --- schemas that must not be read by ---------------------------------------------------------------------------


def refuse_endless(text: str) -> None:
    """Raises ValueError for a schema by which a small body could be read without end, or as deep as it likes.

    A record that holds itself: fastavro goes down a level for each byte, and at 20,000 of them the process is gone, by
    a segmentation fault. An array whose items take no bytes: a body of ten bytes has 2^60 of them. No version of our
    records has either.
    """
    _refuse_endless(json.loads(meaning_of(text)), (), {})


def _refuse_endless(schema: Any, within: tuple[str, ...], takes_bytes: dict[str, bool]) -> bool:
    """Whether a value of the schema takes at least one byte. `within` are the records around it."""
    if isinstance(schema, str):
        if schema in within:
            raise ValueError(f"the record {schema} holds itself")
        return takes_bytes.get(schema, schema != "null")
    if isinstance(schema, list):
        for branch in schema:
            _refuse_endless(branch, within, takes_bytes)
        return True
    kind = schema["type"]
    if kind == "record":
        inner = (*within, schema["name"])
        takes = [_refuse_endless(field["type"], inner, takes_bytes) for field in schema["fields"]]
        takes_bytes[schema["name"]] = any(takes)
        return any(takes)
    if kind == "fixed":
        takes_bytes[schema["name"]] = schema["size"] > 0
        return takes_bytes[schema["name"]]
    if kind == "array" and not _refuse_endless(schema["items"], within, takes_bytes):
        raise ValueError("an array has items without bytes")
    if kind == "map":
        _refuse_endless(schema["values"], within, takes_bytes)
    return True
