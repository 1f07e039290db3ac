"""Keys and rows as bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from credit_stream.core.rows import TABLES
from credit_stream.engine.row_bytes import decode_key, decode_row, encode_key, encode_prefix, encode_row
from tests.engine.counting import CLOCKS, COUNTS, Count

names = st.text(max_size=8)
tables = st.sampled_from([COUNTS, CLOCKS])
keys = st.tuples(tables, names, names)


@given(keys)
def test_a_key_comes_back_whole(key: tuple[object, str, str]) -> None:
    """Whatever characters parent and id have."""
    table, parent, row_id = key
    assert decode_key(encode_key(*key)) == (table.name, parent, row_id)  # type: ignore[arg-type, attr-defined]


@given(keys, tables, names)
def test_a_prefix_has_exactly_the_keys_of_its_parent(key: tuple[object, str, str], table: object, parent: str) -> None:
    """No key of another parent or table lies in the range, and none of this one outside."""
    belongs = (table, parent) == key[:2]
    assert encode_key(*key).startswith(encode_prefix(table, parent)) == belongs  # type: ignore[arg-type]


@given(names, names, names)
def test_keys_of_a_parent_lie_in_code_point_order(parent: str, one: str, other: str) -> None:
    """So a range of the store is sorted as the core expects it."""
    assert (encode_key(COUNTS, parent, one) < encode_key(COUNTS, parent, other)) == (one < other)


def test_a_row_comes_back_equal() -> None:
    """By position of its fields."""
    row = Count(3, 1_772_000_000_000)
    assert decode_row(COUNTS, encode_row(row)) == row


def test_every_table_of_the_core_has_a_name_of_its_own() -> None:
    """Keys begin with the table's name, and rows of two tables must never meet."""
    assert len({table.name for table in TABLES}) == len(TABLES)
