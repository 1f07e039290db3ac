"""The record of what was taken in which order."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_stream.core.topics import ORDERS, PAYMENTS
from credit_stream.engine.sequence import (
    Run,
    SequenceBuilder,
    SequenceRecord,
    SequenceUnreadable,
    Tick,
    decode,
    encode,
)

offsets = st.integers(min_value=0, max_value=2**63 - 1)
entries = st.one_of(
    st.builds(Run, st.sampled_from([ORDERS, PAYMENTS]), offsets, st.integers(min_value=1, max_value=10**6)),
    st.builds(Tick, offsets),
)


def test_a_run_goes_on_until_the_topic_or_the_offset_changes() -> None:
    """Three topics' changes, a gap and a tick."""
    builder = SequenceBuilder()
    for topic, offset in [(ORDERS, 0), (ORDERS, 1), (PAYMENTS, 7), (ORDERS, 2), (ORDERS, 4)]:
        builder.take(topic, offset)
    builder.tick(1_000)
    builder.take(ORDERS, 5)
    assert builder.record(3, 9) == SequenceRecord(
        3,
        9,
        (Run(ORDERS, 0, 2), Run(PAYMENTS, 7, 1), Run(ORDERS, 2, 1), Run(ORDERS, 4, 1), Tick(1_000), Run(ORDERS, 5, 1)),
    )


@given(st.lists(entries, max_size=20))
def test_a_record_comes_back_equal(taken: list[Run | Tick]) -> None:
    """Whatever was taken."""
    record = SequenceRecord(1, 2, tuple(taken))
    assert decode(encode(record)) == record


@pytest.mark.parametrize("data", [b"", b"rubbish", msgspec.msgpack.encode([99, 0, 0, [], []])])
def test_bytes_that_are_no_known_record_are_refused_with_a_sentence(data: bytes) -> None:
    """A damaged log and one of a newer release say so."""
    with pytest.raises(SequenceUnreadable, match=r"credit\.sequence"):
        decode(data)
