"""The files of `schemas/`: they say what the records of the core say, and others can use them."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import fastavro.schema
import msgspec
import pytest
from msgspec import NODEFAULT, Struct

from credit_stream.wire import schema_files, schemas
from tests.wire.made_records import CURRENCY_NAMES, RECORD_TYPES

FOLDER = Path(__file__).resolve().parents[2] / "schemas"
CRC_EMPTY = 0xC15D_213A_A4D7_A795
EVERY_TYPE = pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda record_type: record_type.__name__)


def schema_of(record_type: type[Struct]) -> dict[str, Any]:
    """The schema as it lies in the folder."""
    loaded = json.loads((FOLDER / f"{record_type.__name__}.avsc").read_text())
    assert isinstance(loaded, dict)
    return loaded


def annotation_of(record_type: type[Struct], name: str) -> str:
    """The annotation as it stands in the source, where a day and an instant have their names."""
    found = [vars(base).get("__annotations__", {}).get(name) for base in record_type.__mro__]
    return str(next(text for text in found if text is not None))


def avro_type_of(record_type: type[Struct], name: str, python: Any) -> Any:
    """The Avro type that a field must have: for records and enums just "record" or "enum" and what is in it."""
    if isinstance(python, msgspec.inspect.UnionType):
        inner = next(part for part in python.types if not isinstance(part, msgspec.inspect.NoneType))
        return ["null", avro_type_of(record_type, name, inner)]
    if isinstance(python, msgspec.inspect.LiteralType):
        return ("enum", set(python.values))
    if isinstance(python, msgspec.inspect.VarTupleType):
        return ("array", avro_type_of(record_type, name, python.item_type))
    if isinstance(python, msgspec.inspect.DictType):
        return ("map", "string")
    if isinstance(python, msgspec.inspect.StructType):
        return ("record", python.cls.__name__)
    if isinstance(python, msgspec.inspect.IntType):
        words = annotation_of(record_type, name).split(" | ")
        return ("int", "date") if "Day" in words else ("long", "timestamp-millis") if "Instant" in words else "long"
    if isinstance(python, msgspec.inspect.StrType):
        return "string"
    return "boolean" if isinstance(python, msgspec.inspect.BoolType) else "bytes"


def described(schema: Any, known: dict[str, Any]) -> Any:
    """An Avro type in the words of `avro_type_of`."""
    if isinstance(schema, list):
        return [described(part, known) for part in schema]
    if isinstance(schema, str):
        return described(known[schema], known) if schema in known else schema
    if schema["type"] == "enum":
        return ("enum", set(schema["symbols"]))
    if schema["type"] == "array":
        return ("array", described(schema["items"], known))
    if schema["type"] == "map":
        return ("map", schema["values"])
    return ("record", schema["name"]) if schema["type"] == "record" else (schema["type"], schema["logicalType"])


def named_types(schema: Any) -> Iterator[dict[str, Any]]:
    """Every record and enum that is defined in a schema, itself first."""
    if isinstance(schema, list):
        for part in schema:
            yield from named_types(part)
    if isinstance(schema, dict):
        if "name" in schema:
            yield schema
        inner = [field["type"] for field in schema.get("fields", [])]
        for part in [*inner, schema.get("items"), schema["type"]]:
            yield from named_types(part)


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """The default of a Python field as it must stand in Avro."""
    default = field.default if field.default_factory is NODEFAULT else field.default_factory()
    return list(default) if isinstance(default, tuple) else default


def nested_types(record_type: type[Struct]) -> set[type[Struct]]:
    """The record and all records in it."""
    found = {record_type}
    for field in msgspec.structs.fields(record_type):
        info = msgspec.inspect.type_info(field.type)
        parts = list(info.types) if isinstance(info, msgspec.inspect.UnionType) else [info]
        for part in parts:
            item = part.item_type if isinstance(part, msgspec.inspect.VarTupleType) else part
            if isinstance(item, msgspec.inspect.StructType):
                found |= nested_types(item.cls)
    return found


def without_logical_types(schema: Any) -> Any:
    """The schema with the plain types under its logical types."""
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    if isinstance(schema, dict):
        if "logicalType" in schema:
            return schema["type"]
        return {name: without_logical_types(part) for name, part in schema.items()}
    return schema


def rabin(text: str) -> int:
    """CRC-64-AVRO, written from the Avro specification."""
    crc = CRC_EMPTY
    for byte in text.encode():
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (CRC_EMPTY if crc & 1 else 0)
    return crc


def test_there_is_one_schema_for_each_record_and_none_besides() -> None:
    """A record that is added or removed takes its schema along."""
    expected = {f"{record_type.__name__}.avsc" for record_type in RECORD_TYPES}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == expected | {schemas.FINGERPRINTS_FILE}


def test_the_files_are_what_the_generator_writes() -> None:
    """Run `python -m credit_stream.wire.schema_files --write` after a record has changed."""
    for name, text in schema_files.schema_files().items():
        assert (FOLDER / name).read_text() == text, name


@EVERY_TYPE
def test_a_schema_and_its_record_have_the_same_fields_in_the_same_order(record_type: type[Struct]) -> None:
    """Names, order, types and defaults, of the record and of all records in it."""
    known = {f"credit.v1.{schema['name']}": schema for schema in named_types(schema_of(record_type))}
    for nested in nested_types(record_type):
        fields = msgspec.structs.fields(nested)
        written = known[f"credit.v1.{nested.__name__}"]["fields"]
        assert [field["name"] for field in written] == [field.name for field in fields]
        for field, schema in zip(fields, written, strict=True):
            expected = avro_type_of(nested, field.name, msgspec.inspect.type_info(field.type))
            assert described(schema["type"], known) == expected, (nested, field.name)
            assert schema.get("default", NODEFAULT) == default_of(field), (nested, field.name)


@EVERY_TYPE
def test_a_schema_is_in_the_namespace_and_every_field_says_what_it_is(record_type: type[Struct]) -> None:
    """Interface section 1; money, dates and instants name their unit."""
    for schema in named_types(schema_of(record_type)):
        assert schema["namespace"] == "credit.v1"
        for field in schema.get("fields", []):
            doc = field["doc"]
            assert doc.endswith("."), (schema["name"], field["name"])
            if field["name"].endswith("_minor"):
                of = re.search(r"Minor units of (\w+)\.$", doc)
                assert of and of[1] in CURRENCY_NAMES, (schema["name"], field["name"])
            parts = field["type"] if isinstance(field["type"], list) else [field["type"]]
            logical_types = {part.get("logicalType") for part in parts if isinstance(part, dict)}
            if "date" in logical_types:
                assert "Days since 1970-01-01." in doc
            if "timestamp-millis" in logical_types:
                assert "Milliseconds since" in doc


@EVERY_TYPE
def test_each_schema_parses_alone_in_both_libraries(record_type: type[Struct]) -> None:
    """Nobody needs a second file to read one record."""
    text = (FOLDER / f"{record_type.__name__}.avsc").read_text()
    fastavro.parse_schema(json.loads(text))
    assert avro.schema.parse(text).type == "record"


@EVERY_TYPE
def test_a_fingerprint_is_the_same_whoever_computes_it(record_type: type[Struct]) -> None:
    """fastavro, Apache, our own CRC-64-AVRO, and the file agree.

    Apache's Python library gets the schema without logical types: it leaves `{"type": "long"}` of them, where the
    specification ([PRIMITIVES]) wants `"long"`.
    """
    text = (FOLDER / f"{record_type.__name__}.avsc").read_text()
    apache = avro.schema.parse(json.dumps(without_logical_types(json.loads(text))))
    mine = rabin(apache.canonical_form).to_bytes(8, "little")
    theirs = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(json.loads(text)), "CRC-64-AVRO")
    assert apache.fingerprint() == mine
    assert mine.hex() == theirs == schemas.fingerprints()[record_type.__name__].hex()


def test_the_crc_of_this_test_is_that_of_the_avro_specification() -> None:
    """The value that the Java implementation gives for the schema "null"."""
    assert rabin('"null"') == 0x63DD_24E7_CC25_8F8A


def test_no_two_records_have_the_same_fingerprint() -> None:
    """Or one would be read as the other."""
    assert len(set(schemas.fingerprints().values())) == len(RECORD_TYPES)


def test_schemas_inside_the_installed_package_are_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel has them in `credit_stream/schemas`; a checkout beside the package."""
    assert schemas.schema_folder() == FOLDER
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "OrderPlaced.avsc").write_text("from the wheel")
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    folder = schemas.schema_folder.__wrapped__()
    assert (folder / "OrderPlaced.avsc").read_text() == "from the wheel"
