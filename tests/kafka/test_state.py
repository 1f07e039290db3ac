"""The state directory of a worker: a copy that is believed only when it is whole, ours and new enough."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from credit_stream.core.topics import ORDERS
from credit_stream.engine.checkpoint import NOWHERE, Changes, Position
from credit_stream.hosts.failures import DirectoryInUse, HostFailure, StorageDamaged, StorageFailed
from credit_stream.hosts.kafka.state import FORMAT, Origin, StateDirectory
from credit_stream.hosts.rocks_store import RocksStore
from tests.engine.counting import COUNTS, Count

OURS = Origin(cluster="cluster-1", changelog="credit.state")
END = 1_000
"""Of the changelog."""
ROWS = 3_000
"""So many that several blocks and a table file come of them."""


class Opened:
    """A state directory with what it said."""

    def __init__(self, path: Path, origin: Origin = OURS) -> None:
        self.said: list[str] = []
        self.directory = StateDirectory(path, origin, self.said.append)

    def store(self, partition: int = 0, kept_from: int = 0, end: int = END) -> RocksStore:
        """The rows of a partition."""
        return self.directory.store(partition, kept_from, end)


Open = Callable[..., Opened]


@pytest.fixture
def open_state(tmp_path: Path) -> Iterator[Open]:
    """Opens the test's directory, and closes it at the end or before it is opened again."""
    opened: list[Opened] = []

    def open_it(origin: Origin = OURS) -> Opened:
        for each in opened:
            each.directory.close()
        opened.clear()
        opened.append(Opened(tmp_path / "state", origin))
        return opened[0]

    yield open_it
    for each in opened:
        each.directory.close()


def changes(changelog: int, events: int, rows: int = 1) -> Changes:
    """Rows that all count so many events, up to this offset of the changelog."""
    return Changes(
        {(COUNTS, "", f"C{row}"): Count(events, 0) for row in range(rows)},
        Position(changelog, {ORDERS: changelog}, changelog),
    )


def filled(open_state: Open, partitions: int = 1) -> Path:
    """A directory with rows, on the disk and closed; where its database is."""
    opened = open_state()
    for partition in range(partitions):
        opened.store(partition).write(changes(10, 1, ROWS))
    opened.directory.close()
    return opened.directory.path / "rocksdb"


def test_rows_and_position_are_there_after_a_restart(open_state: Open) -> None:
    """That is what the directory is for; and there is nothing to be said."""
    filled(open_state, partitions=2)
    opened = open_state()
    for partition in range(2):
        store = opened.store(partition)
        assert store.position() == Position(10, {ORDERS: 10}, 10)
        assert store.get(COUNTS, "", "C7") == Count(1, 0)
    assert opened.said == []


# --- one process at a time --------------------------------------------------------------------------------------


def test_a_directory_in_use_is_refused_with_the_process_that_has_it(open_state: Open) -> None:
    """Two workers in one directory would write over each other."""
    opened = open_state()
    with pytest.raises(DirectoryInUse, match=rf"id {os.getpid()}\).*give another directory"):
        Opened(opened.directory.path)
    opened.store().write(changes(1, 1))


def test_a_directory_that_was_closed_can_be_had_again(open_state: Open) -> None:
    """By the next worker; closing once more does no harm."""
    opened = open_state()
    opened.directory.close()
    again = Opened(opened.directory.path)
    again.directory.close()


def test_a_worker_that_was_killed_leaves_its_rows_and_no_lock(open_state: Open, tmp_path: Path) -> None:
    """The operating system takes the lock away, and every batch was whole."""
    path = tmp_path / "state"
    writer = (
        "import os, signal, sys; from pathlib import Path; from tests.kafka.test_state import Opened, changes;"
        "store = Opened(Path(sys.argv[1])).store();"
        "store.write(changes(1, 1)); store.write(changes(2, 2)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).resolve().parent.parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([sys.executable, "-c", writer, str(path)], env=environment, check=False).returncode == -9
    store = open_state().store()
    assert (store.position().changelog, store.get(COUNTS, "", "C0")) == (2, Count(2, 0))


def test_a_path_that_can_be_no_directory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """And not with the traceback of an OSError."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StorageFailed, match="permissions of the directory"):
        Opened(tmp_path / "state")


# --- what is not ours -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        Origin(cluster="cluster-2", changelog="credit.state"),
        Origin(cluster="cluster-1", changelog="test.credit.state"),
        Origin(cluster="cluster-1", changelog="credit.state", format=FORMAT + 1),
    ],
    ids=["another cluster", "another changelog", "another release"],
)
def test_rows_of_others_are_moved_aside_and_said(open_state: Open, origin: Origin) -> None:
    """They would be taken for ours, and be wrong."""
    filled(open_state)
    opened = open_state(origin)
    assert opened.store().position() == NOWHERE
    assert opened.store().ids(COUNTS, "") == []
    (sentence,) = opened.said
    assert "another cluster, changelog or release" in sentence
    assert "rocksdb.aside-1" in sentence and "fetched anew" in sentence
    assert list((opened.directory.path / "rocksdb.aside-1").glob("*.sst"))


def test_the_owner_of_a_directory_is_who_had_it_last(open_state: Open) -> None:
    """Back on the first cluster the rows of the second are the foreign ones; nothing that lies aside is overwritten."""
    filled(open_state)
    open_state(Origin(cluster="cluster-2", changelog="credit.state")).store().write(changes(5, 5))
    opened = open_state()
    assert opened.store().position() == NOWHERE
    assert {each.name for each in opened.directory.path.glob("rocksdb*")} == {
        "rocksdb",
        "rocksdb.aside-1",
        "rocksdb.aside-2",
    }


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"cluster": 1}', b"\xff\xfe"])
def test_rows_that_nothing_names_are_moved_aside(open_state: Open, content: bytes | None) -> None:
    """The file is gone or rubbish: whose rows they are cannot be told."""
    file = filled(open_state).parent / "origin.json"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    opened = open_state()
    assert opened.store().position() == NOWHERE
    assert "have nothing that names them" in opened.said[0]
    assert json.loads(file.read_bytes())["cluster"] == "cluster-1"


# --- what is too old, or too new --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept_from", "end", "sentence"),
    [
        pytest.param(0, 10, None, id="all of the changelog is there"),
        pytest.param(10, 10, None, id="what is forgotten was seen"),
        pytest.param(11, END, "so old that the changelog may have forgotten", id="what is forgotten was not seen"),
        pytest.param(0, 9, "go to offset 10 of the changelog, which ends at 9", id="the changelog was made anew"),
        pytest.param(0, 0, "go to offset 10 of the changelog, which ends at 0", id="the changelog is empty"),
    ],
)
def test_rows_are_used_as_far_as_the_changelog_goes_with_them(
    open_state: Open, kept_from: int, end: int, sentence: str | None
) -> None:
    """Rows that lack deletions, and rows of a changelog that is no more, are fetched anew."""
    filled(open_state)
    opened = open_state()
    store = opened.store(0, kept_from, end)
    if sentence is None:
        assert opened.said == []
        assert (store.position().changelog, store.get(COUNTS, "", "C7")) == (10, Count(1, 0))
    else:
        assert sentence in opened.said[0]
        assert (store.position(), store.ids(COUNTS, "")) == (NOWHERE, [])


def test_a_partition_that_is_fetched_anew_leaves_the_others_alone(open_state: Open) -> None:
    """Their rows lie beside it in the same database."""
    filled(open_state, partitions=3)
    opened = open_state()
    assert opened.store(1, 0, 9).ids(COUNTS, "") == []
    for partition in (0, 2):
        assert len(opened.store(partition).ids(COUNTS, "")) == ROWS


def test_rows_without_a_position_are_not_believed(open_state: Open) -> None:
    """The process died while they were being forgotten: the position goes first."""
    filled(open_state)
    opened = open_state()
    opened.directory._database.write({"positions": [(b"\x00\x00", None)]}, sync=False)
    store = opened.store()
    assert (store.position(), store.ids(COUNTS, "")) == (NOWHERE, [])


# --- damage -----------------------------------------------------------------------------------------------------


def only(database: Path, pattern: str) -> Path:
    """The largest file of that name."""
    return max(database.glob(pattern), key=lambda path: path.stat().st_size)


def flip(path: Path, chance: random.Random) -> None:
    """One bit is another."""
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, _: random.Random) -> None:
    """The second half is gone."""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path, _: random.Random) -> None:
    """Nothing is left of the content, as after a loss of power."""
    path.write_bytes(b"")


def remove(path: Path, _: random.Random) -> None:
    """The file is gone."""
    path.unlink()


def whole(store: RocksStore) -> bool:
    """Whether there is nothing at all, or all of it."""
    if store.position() == NOWHERE:
        return store.ids(COUNTS, "") == []
    ids = store.ids(COUNTS, "")
    return len(ids) == ROWS and all(store.get(COUNTS, "", row_id) == Count(1, 0) for row_id in ids)


HARM = [
    *[("*.sst", flip)] * 5,
    ("*.sst", cut),
    ("*.sst", remove),
    ("MANIFEST-*", flip),
    ("MANIFEST-*", cut),
    ("MANIFEST-*", remove),
    ("CURRENT", empty),
    ("CURRENT", remove),
    ("OPTIONS-*", empty),
    ("IDENTITY", remove),
]


@pytest.mark.parametrize(("pattern", "harm"), HARM)
def test_damage_of_any_file_is_seen_and_the_rows_are_fetched_anew(
    open_state: Open, pattern: str, harm: Callable[[Path, random.Random], None], seed: int
) -> None:
    """Nothing in the directory may stop a worker for good, and no half of the rows may be taken for all of them.

    What is not seen when it is opened is seen when it is read: the worker stops then and says so, and the next one
    has the rows moved aside. Single flipped bits, because rocksdict's own iterators end at a damaged block as if
    nothing came after it.
    """
    database = filled(open_state)
    harm(only(database, pattern), random.Random(seed))
    opened = open_state()
    damage = None
    try:
        assert whole(opened.store())
    except StorageDamaged as error:
        damage = str(error)
    if damage is not None:
        # Only now: the traceback has held on to the cursor, and so to the database.
        opened.directory.condemn(damage)
        opened = open_state()
        assert opened.store().position() == NOWHERE
        assert "were found damaged" in opened.said[0] and "rocksdb.aside-1" in opened.said[0]
    store = opened.store()
    if store.position() == NOWHERE:
        store.write(changes(20, 1, ROWS))
    assert whole(open_state().store())


def test_damage_is_said_with_where_the_rows_went(open_state: Open, seed: int) -> None:
    """Somebody may want to look at it, or at the disk."""
    database = filled(open_state)
    cut(only(database, "CURRENT"), random.Random(seed))
    opened = open_state()
    (sentence,) = opened.said
    assert "are damaged" in sentence and "rocksdb.aside-1" in sentence and "fetched anew" in sentence


def test_a_worker_that_was_killed_and_whose_newest_batches_are_damaged_goes_back_to_the_last_whole_one(
    open_state: Open, tmp_path: Path, seed: int
) -> None:
    """The write-ahead log after a loss of power: rows and position go back together, and the changelog has the rest."""
    path = tmp_path / "state"
    writer = (
        "import os, signal, sys; from pathlib import Path; from tests.kafka.test_state import Opened, changes;"
        "store = Opened(Path(sys.argv[1])).store();"
        "[store.write(changes(number, number, 50)) for number in range(1, 101)]; os.kill(os.getpid(), signal.SIGKILL)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)}
    subprocess.run([sys.executable, "-c", writer, str(path)], env=environment, check=False)
    log = only(path / "rocksdb", "*.log")
    os.truncate(log, random.Random(seed).randrange(log.stat().st_size // 2, log.stat().st_size))
    store = open_state().store()
    number = store.position().changelog
    assert 1 < number < 100
    assert {store.get(COUNTS, "", row_id) for row_id in store.ids(COUNTS, "")} == {Count(number, 0)}


def test_condemned_rows_are_moved_aside_once(open_state: Open) -> None:
    """And not again at every start."""
    filled(open_state)
    opened = open_state()
    opened.directory.condemn("a block does not have its checksum")
    assert "were found damaged (a block does not have its checksum)" in open_state().said[0]
    assert open_state().said == []


def test_every_failure_of_the_directory_says_what_to_do(open_state: Open) -> None:
    """The contract of all host failures."""
    opened = open_state()
    with pytest.raises(HostFailure) as caught:
        Opened(opened.directory.path)
    assert str(opened.directory.path) in str(caught.value)
