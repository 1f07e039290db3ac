"""Avro bodies of the records of the core, by functions made for each record type.

A general Avro library walks the schema for each value. Here the schema is walked once, and what comes out is a
straight line of Python for one record: a decision with three rules is written in about 8 us, where fastavro's compiled
writer takes 40, as much as an event may cost in all; and the reader refuses what fastavro lets pass (an index of -1
into an enum or a union, a boolean of 7). The tests hold every record type equal to fastavro, byte for byte, and let
Apache's library read it.

In the made source `d` is the data, `i` the position in it, `r` the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar, cast

from msgspec import Struct

from credit_stream.core.outputs import AsOf, ExposureBuckets, LimitParts, RuleOutcome
from credit_stream.wire.compiled import Constants, function_of
from credit_stream.wire.faults import Unreadable
from credit_stream.wire.records import FieldShape, Kind, shape_of

T = TypeVar("T")
Encoder = Callable[[Any], bytes]
Decoder = Callable[[bytes, int], tuple[Any, int]]

TABLE_ENTRIES_MAX = 4_096
"""Values of one kind (numbers, texts, lists of texts, each type of record) of which the encoded form is remembered."""
TABLE_BYTES_MAX = 256
"""Longer ones are not remembered: they hardly come twice."""
VARINT_BYTES_MAX = 10
"""Of a 64-bit number."""
UNSIGNED_END = 2**64

_NULL, _SOME = b"\x00", b"\x02"
_REPEATED_TEXTS = frozenset(
    {
        "cancelled_by",
        "code",
        "credit_currency",
        "currency",
        "legal_entity",
        "operator",
        "payment_terms",
        "reason",
        "reasons",
        "rule_id",
        "source",
        "threshold",
        "topic",
        "type",
        "unit",
    }
)
"""Texts of which a stream has few different ones. To remember a text that does not come again would only cost time."""
_REPEATED_RECORDS: frozenset[type[Struct]] = frozenset({AsOf, ExposureBuckets, LimitParts, RuleOutcome})
"""Records inside others that come again whole: what a rule saw four times in five, a limit nearly always."""
_NEW_NUMBERS = frozenset({"offset"})
"""Numbers that do not come again; nor do instants. Of all others nine in ten were in one of the last records: what is
overdue or ordered stands in the exposure before, in that after, in the exposure record and in the next decision."""
_LONGS: tuple[Kind, ...] = ("money", "integer", "day", "instant")
_TEXTS: tuple[Kind, ...] = ("identifier", "text", "document", "currency", "decimal")
_UNROLLED_BYTES: dict[Kind, int] = {"money": 4, "integer": 1, "day": 3, "instant": 4}
"""How many bytes such a number usually has: days of this century, amounts up to a million; instants have two more."""


# --- values to bytes --------------------------------------------------------------------------------------------


_PAIR_BITS = 14
_PAIR_END = 1 << _PAIR_BITS
_ENDING = [bytes((bits,)) for bits in range(0x80)]
_GOING_ON = [bytes((bits | 0x80,)) for bits in range(0x80)]
_LAST = _ENDING + [low + high for high in _ENDING[1:] for low in _GOING_ON]
"""The varint of every number of up to 14 bits. Two look-ups make one of 28 bits, which most amounts have."""
_MORE = [low + high for high in _GOING_ON for low in _GOING_ON]
"""The same 14 bits where more follow."""


def varint_bytes(number: int) -> bytes:
    """The varint of an unsigned 64-bit number, which is a signed one in zig-zag form; OverflowError beyond that."""
    if number < _PAIR_END:
        return _LAST[number]
    if number < 1 << 2 * _PAIR_BITS:
        return _MORE[number & _PAIR_END - 1] + _LAST[number >> _PAIR_BITS]
    if number >= UNSIGNED_END:
        raise OverflowError("a figure does not fit into 64 bits; the core must not publish such a one")
    return _MORE[number & _PAIR_END - 1] + varint_bytes(number >> _PAIR_BITS)


def long_bytes(value: int) -> bytes:
    """The zig-zag varint of a signed 64-bit number; OverflowError beyond that."""
    return varint_bytes(value << 1 ^ value >> 63)


class _Table(dict[T, bytes]):
    """The encoded form of values that come again and again. A full table is emptied and begins anew."""

    def __init__(self, encode: Callable[[T], bytes]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, value: T) -> bytes:
        encoded = self._encode(value)
        if len(encoded) <= TABLE_BYTES_MAX:
            if len(self) >= TABLE_ENTRIES_MAX:
                self.clear()
            self[value] = encoded
        return encoded


def _bytes_bytes(value: bytes) -> bytes:
    return long_bytes(len(value)) + value


def _text_bytes(value: str) -> bytes:
    encoded = value.encode()
    return long_bytes(len(encoded)) + encoded


def _map_bytes(value: Mapping[str, str]) -> bytes:
    """Sorted by name, so that equal content is equal bytes."""
    if not value:
        return _NULL
    pairs = [_text_bytes(name) + _text_bytes(value[name]) for name in sorted(value)]
    return long_bytes(len(pairs)) + b"".join(pairs) + _NULL


def _nullable(encode: Callable[[T], bytes]) -> Callable[[T | None], bytes]:
    return lambda value: _NULL if value is None else _SOME + encode(value)


def _listed(encode: Callable[[T], bytes]) -> Callable[[tuple[T, ...]], bytes]:
    return lambda values: b"".join((long_bytes(len(values)), *map(encode, values), _NULL)) if values else _NULL


_TABLES: dict[str, Callable[[Any], bytes]] = {
    "number": _Table(long_bytes).__getitem__,
    "number_or_null": _Table(_nullable(long_bytes)).__getitem__,
    "text": _Table(_text_bytes).__getitem__,
    "text_or_null": _Table(_nullable(_text_bytes)).__getitem__,
    "texts": _Table(_listed(_text_bytes)).__getitem__,
}
"""What made source calls. It is `__getitem__` of a dict, bound: `table[value]` takes three times as long, since Python
looks for that method anew each time where the dict is of a class of ours."""
_FLAG = {False: b"\x00", True: b"\x01"}
_LENGTHS_MAX = len(_LAST) // 2
_LENGTHS = _LAST[::2]
"""The varint of a length in zig-zag form, for lengths below `_LENGTHS_MAX`."""


# --- the source of an encoder -----------------------------------------------------------------------------------


class _EncoderSource:
    """Statements that take records apart, and expressions that give the bytes of each field in order."""

    def __init__(self) -> None:
        self.constants = Constants(
            varint=varint_bytes, LAST=_LAST, MORE=_MORE, LENGTHS=_LENGTHS, FLAG=_FLAG, NULL=_NULL, SOME=_SOME
        )
        self.constants.update(_TABLES)
        self.statements: list[str] = []
        self.expressions: list[str] = []

    def add_record(self, record_type: type[Struct], variable: str) -> None:
        for field in shape_of(record_type).fields:
            value = f"{variable}.{field.name}"
            if field.kind == "record" and not field.nullable and field.record_type not in _REPEATED_RECORDS:
                inner = f"v{len(self.statements)}"
                self.statements.append(f"{inner} = {value}")
                self.add_record(_record_of(field), inner)
            elif field.kind in _TEXTS and not field.nullable and field.name not in _REPEATED_TEXTS:
                self.expressions += [_length_expression(value), "b"]
            else:
                self.expressions.append(self._expression(field, value))

    def _expression(self, field: FieldShape, value: str) -> str:
        if field.kind in _TEXTS or field.kind in _LONGS:
            return _text_expression(field, value) if field.kind in _TEXTS else _number_expression(field, value)
        if field.kind == "flag":
            return f"FLAG[{value}]"
        if field.kind == "symbol":
            return f"{self.constants.name_of(_symbol_table(field))}[{value}]"
        if field.kind == "list":
            if field.items in _TEXTS and field.name in _REPEATED_TEXTS:
                return f"texts({value})"
            function = self.constants.name_of(_listed(_item_encoder(field)))
            return f"{function}(x) if (x := {value}) else NULL"
        return f"{self.constants.name_of(_encoder_of_value(field))}({value})"

    def text(self) -> str:
        statements = "".join(f"    {statement}\n" for statement in self.statements)
        return f"def encode(r):\n{statements}    return b''.join(({', '.join(self.expressions)},))\n"


def _text_expression(field: FieldShape, value: str) -> str:
    if field.name in _REPEATED_TEXTS:
        return f"text_or_null({value})" if field.nullable else f"text({value})"
    return f"NULL if (x := {value}) is None else SOME + ({_length_expression('x')}) + b"


def _length_expression(value: str) -> str:
    """The length of a text; leaves its bytes in `b`."""
    return f"LENGTHS[n] if (n := len(b := {value}.encode())) < {_LENGTHS_MAX} else varint(2 * n)"


def _number_expression(field: FieldShape, value: str) -> str:
    if field.kind != "instant" and field.name not in _NEW_NUMBERS:
        return f"number_or_null({value})" if field.nullable else f"number({value})"
    if field.nullable:
        return f"NULL if (x := {value}) is None else SOME + ({_long_expression('x')})"
    return _long_expression(f"(x := {value})")


def _long_expression(value: str) -> str:
    """The bytes of a signed number: those of up to 28 bits without a call. `value` gives it and leaves it in `x`."""
    two_look_ups = f"MORE[n & {_PAIR_END - 1}] + LAST[n >> {_PAIR_BITS}] if n < {1 << 2 * _PAIR_BITS} else varint(n)"
    return f"LAST[n] if (n := {value} << 1 ^ x >> 63) < {_PAIR_END} else {two_look_ups}"


def _symbol_table(field: FieldShape) -> dict[str | None, bytes]:
    head = _SOME if field.nullable else b""
    table: dict[str | None, bytes] = {symbol: head + long_bytes(at) for at, symbol in enumerate(field.symbols)}
    return table | {None: _NULL} if field.nullable else table


def _encoder_of_value(field: FieldShape) -> Encoder:
    if field.kind == "map":
        return _map_bytes
    if field.kind == "bytes":
        return _bytes_bytes
    encode = _encoder_inside(_record_of(field))
    return _nullable(encode) if field.nullable else encode


@cache
def _encoder_inside(record_type: type[Struct]) -> Encoder:
    """The function that writes a record inside another: from what is remembered, where that is worth it."""
    encode = encoder_of(record_type)
    return _Table(encode).__getitem__ if record_type in _REPEATED_RECORDS else encode


def _item_encoder(field: FieldShape) -> Encoder:
    if field.items == "record":
        return _encoder_inside(_record_of(field))
    return long_bytes if field.items in _LONGS else _text_bytes


def _record_of(field: FieldShape) -> type[Struct]:
    if field.record_type is None:
        raise TypeError(f"{field.name} holds no record")
    return field.record_type


@cache
def encoder_of(record_type: type[Struct], head: bytes = b"") -> Encoder:
    """The function that writes a record of this type: `head`, then its Avro body."""
    source = _EncoderSource()
    if head:
        source.expressions.append(source.constants.name_of(head))
    source.add_record(record_type, "r")
    return cast(Encoder, function_of(source.text(), source.constants, "encode", record_type.__name__))


# --- bytes to values --------------------------------------------------------------------------------------------


def varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned number that begins here and where it ends; IndexError when the data ends before it does."""
    number = shift = 0
    for end in range(at, at + VARINT_BYTES_MAX):
        byte = data[end]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number > 0xFFFF_FFFF_FFFF_FFFF:
                break
            return number, end + 1
        shift += 7
    raise Unreadable("A number in the Avro body is longer than 64 bits; write it with the schema that the bytes name.")


def long_at(data: bytes, at: int) -> tuple[int, int]:
    """The signed number that begins here and where it ends."""
    number, end = varint_at(data, at)
    return number >> 1 ^ -(number & 1), end


def _size_at(data: bytes, at: int) -> tuple[int, int]:
    """Twice the length that begins here (its zig-zag form) and where it ends; a length below 0 is refused."""
    number, end = varint_at(data, at)
    if number & 1:
        raise Unreadable(
            "A length in the Avro body is below 0; write the record with the schema that its first bytes name."
        )
    return number, end


def _text_at(data: bytes, at: int) -> tuple[str, int]:
    number, start = _size_at(data, at)
    end = start + (number >> 1)
    return data[start:end].decode(), end


def _blocks_at(data: bytes, at: int, item: Callable[[bytes, int], tuple[T, int]]) -> tuple[list[T], int]:
    """The items of an array or a map: blocks of a count and so many items; a count below 0 is followed by a size."""
    items: list[T] = []
    while True:
        count, at = long_at(data, at)
        if count == 0:
            return items, at
        size = None
        if count < 0:
            size, at = long_at(data, at)
        start = at
        for _ in range(abs(count)):
            value, at = item(data, at)
            items.append(value)
        if size is not None and at - start != size:
            raise Unreadable("A block in the Avro body is not as long as it says; write the record again.")


_TWO_MORE_BYTES = (
    "m = d[i]", "i += 1",
    "if m > 127:", "    m += (d[i] << 7) - 128", "    i += 1",
    "if m > 16383:", "    n, i = varint_at(d, i - 6)",
    "else:", "    n += (m << 28) - 268435456",
)  # fmt: skip
"""Bytes five and six of an instant, put together by themselves: each step with a number of more than 30 bits takes
Python three times as long."""
_SHORT = [0 if first & 0x81 else 1 + (first >> 1) for first in range(256)]
"""By the byte that a text begins with: how many bytes the text takes with that one; 0 where its length has more."""


def _tuple_reader(item: Callable[[bytes, int], tuple[T, int]]) -> Callable[[bytes, int], tuple[tuple[T, ...], int]]:
    def read(data: bytes, at: int) -> tuple[tuple[T, ...], int]:
        items, end = _blocks_at(data, at, item)
        return tuple(items), end

    return read


def _pair_at(data: bytes, at: int) -> tuple[tuple[str, str], int]:
    name, at = _text_at(data, at)
    value, at = _text_at(data, at)
    return (name, value), at


def _map_at(data: bytes, at: int) -> tuple[dict[str, str], int]:
    pairs, end = _blocks_at(data, at, _pair_at)
    return dict(pairs), end


# --- the source of a decoder ------------------------------------------------------------------------------------


class DecoderSource:
    """Statements that read the fields of a record one after the other into variables: `r` and the field's name."""

    def __init__(self) -> None:
        self.constants = Constants(varint_at=varint_at, size_at=_size_at, SHORT=_SHORT, FLAGS={0: False, 1: True})
        self.lines: list[str] = []
        self.indent = "    "

    def add_record(self, record_type: type[Struct], target: str) -> None:
        """Reads a record into the variable `target`."""
        self.add_fields(record_type, target)
        self._add(f"{target} = {self.construction(record_type, target)}")

    def add_fields(self, record_type: type[Struct], target: str) -> None:
        """Reads the fields of a record, each into a variable that begins with `target`."""
        for field in shape_of(record_type).fields:
            self._add_field(field, f"{target}_{field.name}")

    def construction(self, record_type: type[Struct], target: str) -> str:
        """An expression that makes the record from its fields."""
        made = ", ".join(f"{field.name}={target}_{field.name}" for field in shape_of(record_type).fields)
        return f"{self.constants.name_of(record_type)}({made})"

    def _add(self, *lines: str) -> None:
        self.lines += [self.indent + line for line in lines]

    def _add_field(self, field: FieldShape, target: str) -> None:
        if not field.nullable:
            self._add_value(field, target)
            return
        self._add("n = d[i]", "i += 1", "if n == 2:")
        self.indent += "    "
        self._add_value(field, target)
        self.indent = self.indent[4:]
        self._add("elif n:", "    raise KeyError(n)", "else:", f"    {target} = None")

    def _add_value(self, field: FieldShape, target: str) -> None:
        if field.kind in _LONGS:
            self._add_varint(field.kind)
            self._add(f"{target} = n >> 1 if not n & 1 else -(n >> 1) - 1")
        elif field.kind in _TEXTS or field.kind == "bytes":
            text = "" if field.kind == "bytes" else ".decode()"
            self._add("s = SHORT[d[i]]", "if s:", "    j = i + s", f"    {target} = d[i + 1:j]{text}")
            self._add("else:", "    n, i = size_at(d, i)", "    j = i + (n >> 1)", f"    {target} = d[i:j]{text}")
            self._add("i = j")
        elif field.kind == "flag":
            self._add(f"{target} = FLAGS[d[i]]", "i += 1")
        elif field.kind == "symbol":
            symbols = {2 * index: symbol for index, symbol in enumerate(field.symbols)}
            self._add(f"{target} = {self.constants.name_of(symbols)}[d[i]]", "i += 1")
        elif field.kind == "record":
            self.add_record(_record_of(field), target)
        else:
            self._add_items(field, target)

    def _add_varint(self, kind: Kind) -> None:
        """Reads an unsigned number into `n`. Its first bytes are taken without a call, which would cost more."""
        self._add("n = d[i]", "i += 1")
        unrolled = _UNROLLED_BYTES[kind]
        deeper = ""
        for taken in range(1, unrolled):
            bits = 7 * taken
            self._add(f"{deeper}if n > {(1 << bits) - 1}:")
            deeper += "    "
            self._add(f"{deeper}n += (d[i] << {bits}) - {1 << bits}", f"{deeper}i += 1")
        self._add(f"{deeper}if n > {(1 << 7 * unrolled) - 1}:")
        if kind == "instant":
            self._add(*(f"{deeper}    {line}" for line in _TWO_MORE_BYTES))
        else:
            self._add(f"{deeper}    n, i = varint_at(d, i - {unrolled})")

    def _add_items(self, field: FieldShape, target: str) -> None:
        read: Decoder = _map_at if field.kind == "map" else _tuple_reader(_item_decoder(field))
        empty = "{}" if field.kind == "map" else "()"
        self._add("if d[i]:", f"    {target}, i = {self.constants.name_of(read)}(d, i)")
        self._add("else:", f"    {target} = {empty}", "    i += 1")

    def text(self, head: str = "def decode(d, i):", end: str = "return r, i") -> str:
        """The whole function."""
        return "\n".join((head, *self.lines, f"    {end}")) + "\n"


def _item_decoder(field: FieldShape) -> Decoder:
    if field.items == "record":
        return decoder_of(_record_of(field))
    return long_at if field.items in _LONGS else _text_at


@cache
def decoder_of(record_type: type[Struct]) -> Decoder:
    """The function that reads a record of this type from its Avro body: (data, position) to (record, end).

    It raises IndexError where the data ends too early (or gives an end beyond it), KeyError for an index that the
    schema does not have, UnicodeDecodeError for text that is no UTF-8, and `Unreadable`.
    """
    source = DecoderSource()
    source.add_record(record_type, "r")
    return cast(Decoder, function_of(source.text(), source.constants, "decode", record_type.__name__))
