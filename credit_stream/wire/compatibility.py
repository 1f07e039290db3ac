"""Whether schemas may take the place of released ones (interface section 1), judged by Apache's `avro`, both ways.

Backward: what a release wrote must stay readable. Forward: the readers of a release must be able to read what is
written now. What passes both can still be wrong: a renamed optional field is for Avro an old one with its default and a
new one, so that what is sent in it is lost without a word. So the names stay, too: a new optional field with a default
is a compatible change, anything else is a new version.

Apache's checker says yes or no, and for a field that may be null not what within it is at fault. So it is asked again
for the parts of what it refused, down to the smallest part that it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import ArraySchema, EnumSchema, MapSchema, NamedSchema, RecordSchema, Schema, UnionSchema, parse
from msgspec import Struct

from credit_stream.wire.released import ReleasedSchema
from credit_stream.wire.schemas import meaning_of

Direction = Literal["backward", "forward", "names"]
Place: TypeAlias = tuple[str, ...]

_PUT_BACK = "put it back as it was, and carry what is new in a new optional field"
_NEW_VERSION = "or make a new version of the record in a namespace of its own"


class Incompatibility(Struct, frozen=True):
    """One thing that keeps a schema from taking the place of a released one.

    `place` is the path of the field from the record on, empty for the record itself; `problem` goes on from its name;
    `remedy` says what to do.
    """

    record_name: str
    version: str
    direction: Direction
    place: str
    problem: str
    remedy: str

    def sentence(self) -> str:
        """The whole of it on one line."""
        subject = f"{self.record_name}.{self.place}" if self.place else self.record_name
        return f"{subject} {self.problem}; {self.remedy}."


def incompatibilities(present: Mapping[str, str], released: Sequence[ReleasedSchema]) -> list[Incompatibility]:
    """Everything in the present schemas, by record name, that does not go with a released one.

    A schema that says what the released one says is not looked at further.
    """
    found: list[Incompatibility] = []
    for schema in released:
        text = present.get(schema.record_name)
        if text is None:
            gone = (), "is gone, and its records are still in the log", "put the schema back"
            found.append(_incompatibility(schema, "names", *gone))
        elif meaning_of(text) != meaning_of(schema.text()):
            found += between(text, schema)
    return found


def between(text: str, released: ReleasedSchema) -> list[Incompatibility]:
    """What in the schema does not go with a released one of the same record."""
    now, then = parse(text), parse(released.text())
    found = [_incompatibility(released, "backward", *each) for each in _backward(now, then, released.version)]
    found += [_incompatibility(released, "forward", *each) for each in _forward(now, then, released.version)]
    seen = {each.place for each in found}
    kept = [_incompatibility(released, "names", *each) for each in _names(now, then, ())]
    return found + [each for each in kept if each.place not in seen]


def _incompatibility(
    released: ReleasedSchema, direction: Direction, place: Place, problem: str, remedy: str
) -> Incompatibility:
    return Incompatibility(released.record_name, released.version, direction, _path(place), problem, remedy)


def _path(place: Place) -> str:
    return "".join(f".{part}" if part.isidentifier() else part for part in place).removeprefix(".")


def _reads(reader: Schema, writer: Schema) -> bool:
    """The judge: whether all that is written with one schema can be read with the other."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    return checker.get_compatibility(reader, writer).compatibility is SchemaCompatibilityType.compatible


# --- where it lies ----------------------------------------------------------------------------------------------


class _Misfit(Struct, frozen=True):
    """The smallest part that cannot be read: a pair of types, or (no writer) a field that the writer does not have."""

    place: Place
    reader: Any
    writer: Any


def _misfits(reader: Schema, writer: Schema, place: Place) -> Iterator[_Misfit]:
    if _reads(reader, writer):
        return
    found = [each for part in _parts(reader, writer, place) for each in _misfits(*part)]
    if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        known = {field.name for field in writer.fields}
        missing = [field for field in reader.fields if field.name not in known and not field.has_default]
        found += [_Misfit((*place, field.name), field.type, None) for field in missing]
    yield from found or [_Misfit(place, reader, writer)]


def _parts(reader: Schema, writer: Schema, place: Place) -> Iterator[tuple[Schema, Schema, Place]]:
    """The parts of two schemas that belong together."""
    if isinstance(reader, RecordSchema) and isinstance(writer, RecordSchema):
        written = {field.name: field.type for field in writer.fields}
        for field in reader.fields:
            if field.name in written:
                yield field.type, written[field.name], (*place, field.name)
    elif isinstance(reader, ArraySchema) and isinstance(writer, ArraySchema):
        yield reader.items, writer.items, (*place, "[]")
    elif isinstance(reader, MapSchema) and isinstance(writer, MapSchema):
        yield reader.values, writer.values, (*place, "{}")
    elif isinstance(reader, UnionSchema):
        for branch in _branches(writer):
            mine = next((each for each in reader.schemas if _kind(each) == _kind(branch)), None)
            if mine is not None:
                yield mine, branch, place


def _branches(schema: Schema) -> Sequence[Schema]:
    return cast(Sequence[Schema], schema.schemas) if isinstance(schema, UnionSchema) else [schema]


def _kind(schema: Schema) -> str:
    return str(schema.fullname if isinstance(schema, NamedSchema) else schema.type)


def _symbols(schema: Schema | None) -> set[str]:
    return set(schema.symbols) if isinstance(schema, EnumSchema) else set()


def _shown(schema: Schema) -> str:
    """A type in a few words: `long`, `null or string`, `array of credit.v1.Settlement`."""
    if isinstance(schema, UnionSchema):
        return " or ".join(_shown(branch) for branch in schema.schemas)
    if isinstance(schema, ArraySchema):
        return f"array of {_shown(schema.items)}"
    if isinstance(schema, MapSchema):
        return f"map of {_shown(schema.values)}"
    return _kind(schema)


# --- what to say ------------------------------------------------------------------------------------------------


def _backward(now: Schema, then: Schema, version: str) -> Iterator[tuple[Place, str, str]]:
    for misfit in _misfits(now, then, ()):
        lost = sorted(_symbols(misfit.writer) - _symbols(misfit.reader))
        if misfit.writer is None:
            problem = f"is new and has no default, so that what {version} wrote cannot be read"
            yield misfit.place, problem, "give it a default, null for a field that may be left out"
        elif _symbols(misfit.reader) and lost:
            problem = f"no longer has {_listed(lost)}, which {version} wrote"
            yield misfit.place, problem, "put it back; a word that is not used any more does no harm"
        else:
            yield misfit.place, f"was {_shown(misfit.writer)} in {version} and is {_shown(misfit.reader)}", _remedy()


def _forward(now: Schema, then: Schema, version: str) -> Iterator[tuple[Place, str, str]]:
    for misfit in _misfits(then, now, ()):
        added = sorted(_symbols(misfit.writer) - _symbols(misfit.reader))
        if misfit.writer is None:
            yield misfit.place, f"is gone, and the readers of {version} have no default for it", "put it back"
        elif _symbols(misfit.reader) and added:
            problem = f"has the new {_listed(added)}, which the readers of {version} do not know"
            yield misfit.place, problem, f"carry it in a new optional field, {_NEW_VERSION}"
        else:
            problem = f"is {_shown(misfit.writer)}, and the readers of {version} take {_shown(misfit.reader)}"
            yield misfit.place, problem, _remedy()


def _remedy() -> str:
    return f"{_PUT_BACK}, {_NEW_VERSION}"


def _listed(symbols: Sequence[str]) -> str:
    return ", ".join(f"'{symbol}'" for symbol in symbols)


# --- what Avro would let pass -----------------------------------------------------------------------------------


def _names(now: Schema, then: Schema, place: Place) -> Iterator[tuple[Place, str, str]]:
    """What was released and is not there as it was, though Avro finds a way round it."""
    kinds = [[_kind(branch) for branch in _branches(schema)] for schema in (now, then)]
    if kinds[0] != kinds[1] or _logical_type(now) != _logical_type(then):
        yield place, f"was {_meant(then)} and is {_meant(now)}", _remedy()
        return
    if isinstance(now, RecordSchema) and isinstance(then, RecordSchema):
        yield from _field_names(now, then, place)
        return
    for mine, theirs, inner in _parts(now, then, place):
        yield from _names(mine, theirs, inner)


def _field_names(now: RecordSchema, then: RecordSchema, place: Place) -> Iterator[tuple[Place, str, str]]:
    fields = {field.name: field for field in now.fields}
    for old in then.fields:
        inner, new = (*place, old.name), fields.get(old.name)
        if new is None:
            problem = "is gone: what is still sent in it would be left out without a word"
            yield inner, problem, "put it back, also if it was only renamed"
        elif (new.has_default, new.default) != (old.has_default, old.default):
            problem = f"had {_default(old)} and has {_default(new)}, so that leaving it out means something else"
            yield inner, problem, "put the default back"
        else:
            yield from _names(new.type, old.type, inner)


def _default(field: Any) -> str:
    return f"the default {json.dumps(field.default)}" if field.has_default else "no default"


def _logical_type(schema: Schema) -> object:
    return schema.other_props.get("logicalType")


def _meant(schema: Schema) -> str:
    meant = _logical_type(schema)
    return f"{_shown(schema)} ({meant})" if meant else _shown(schema)
