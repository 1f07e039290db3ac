"""The view of the rows is a plain dictionary to whoever looks through it."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from credit_stream.core.view import Table
from credit_stream.engine.checkpoint import Changes, Position
from credit_stream.engine.overlay import Overlay
from credit_stream.hosts.memory import MemoryStore
from tests.engine.counting import CLOCKS, COUNTS, Count

Key = tuple[Table[Count], str, str]

tables = st.sampled_from([COUNTS, CLOCKS])
parents = st.sampled_from(["", "a", "ab", "é"])
ids = st.sampled_from(["", "1", "10", "2", "\U0001f600", "\uffee"])
keys = st.tuples(tables, parents, ids)
writes = st.dictionaries(keys, st.one_of(st.none(), st.builds(Count, st.integers(0, 9), st.just(0))), max_size=4)


class OverlayMachine(RuleBasedStateMachine):
    """Any sequence of writes, reads, listings and checkpoints, beside a dictionary that does the same."""

    @initialize(rows_max=st.integers(min_value=1, max_value=8))
    def begin(self, rows_max: int) -> None:
        """A cache so small that rows are forgotten all the time."""
        self.store = MemoryStore()
        self.overlay = Overlay(self.store, {"EUR": 2}, rows_max)
        self.model: dict[Key, Count] = {}
        self.number = 0

    @rule(changes=writes)
    def write(self, changes: Mapping[Key, Count | None]) -> None:
        """What one step wrote."""
        self.overlay.apply(changes)  # type: ignore[arg-type]
        for key, row in changes.items():
            if row is None:
                self.model.pop(key, None)
            else:
                self.model[key] = row

    @rule(key=keys)
    def read(self, key: Key) -> None:
        """A row, there or not."""
        assert self.overlay.get(*key) == self.model.get(key)

    @rule(table=tables, parent=parents)
    def list_ids(self, table: Table[Count], parent: str) -> None:
        """The ids under a parent, pending ones merged with those of the store."""
        expected = sorted(key[2] for key in self.model if key[:2] == (table, parent))
        assert self.overlay.ids(table, parent) == expected

    @rule()
    def checkpoint(self) -> None:
        """The pending writes go to the store."""
        self.number += 1
        self.store.write(Changes(self.overlay.pending, Position(self.number, {})))
        self.overlay.settle()

    @invariant()
    def pending_are_only_the_writes_since_the_checkpoint(self) -> None:
        """And the store has everything else."""
        if not hasattr(self, "overlay"):
            return
        for key, row in self.model.items():
            assert self.overlay.pending.get(key, row) == row  # type: ignore[call-overload]


TestOverlayIsADictionary = OverlayMachine.TestCase


@given(st.lists(keys, min_size=1, max_size=30))
def test_the_cache_is_bounded(read: list[Key]) -> None:
    """It never holds more rows than it may, whatever is asked for."""
    overlay = Overlay(MemoryStore(), {}, rows_max=4)
    for key in read:
        overlay.get(*key)
        assert len(overlay.at_hand) + len(overlay._old) <= 4 + 1


def test_what_a_step_took_at_hand_stays_right_when_the_cache_ages_under_it() -> None:
    """A step goes on with the rows that it met at its beginning, and asks for those that are not among them."""
    overlay = Overlay(MemoryStore(), {}, rows_max=2)
    overlay.apply({(COUNTS, "", "first"): Count(1, 0)})  # type: ignore[dict-item]
    at_hand = overlay.at_hand
    for number in range(5):
        assert overlay.get(COUNTS, "", str(number)) is None
    assert overlay.at_hand is not at_hand
    assert at_hand[COUNTS, "", "first"] == Count(1, 0)  # type: ignore[index]
    assert overlay.get(COUNTS, "", "first") == Count(1, 0)


def test_a_row_written_and_forgotten_by_the_cache_is_still_read_before_the_checkpoint() -> None:
    """A batch may write more rows than the cache holds; the store does not have them yet."""
    overlay = Overlay(MemoryStore(), {}, rows_max=2)
    for number in range(10):
        overlay.apply({(COUNTS, "", str(number)): Count(number, 0)})  # type: ignore[dict-item]
    assert [overlay.get(COUNTS, "", str(number)) for number in range(10)] == [Count(n, 0) for n in range(10)]
