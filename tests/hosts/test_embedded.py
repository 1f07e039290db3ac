"""The embedded host over a real RocksDB, with the core that counts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Signal

import msgspec
import pytest

from credit_stream.core.events import Event, SettingsPublished
from credit_stream.core.outputs import DeadLetter, RunCompleted
from credit_stream.core.topics import (
    DEAD_LETTERS,
    INBOX,
    INPUT_TOPICS,
    ORDERS,
    RUNS,
    SEQUENCE,
    SETTINGS,
)
from credit_stream.core.view import StepResult
from credit_stream.engine.sequence import Tick, decode
from credit_stream.engine.task import BatchLimits, Program
from credit_stream.hosts import embedded_log
from credit_stream.hosts.clock import ManualClock
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.embedded_log import StoredRecord
from credit_stream.hosts.failures import (
    DirectoryInUse,
    EngineStopped,
    HostClosed,
    NotIdle,
    UnknownFormat,
    WrongPartitions,
)
from credit_stream.hosts.memory import MemoryHost
from credit_stream.hosts.program import encode_record
from credit_stream.hosts.rocksdb import Database
from credit_stream.wire.avro import decode as decode_avro
from credit_stream.wire.avro import encode_event
from credit_stream.wire.keys import partition_of
from credit_stream.wire.read import read_event
from tests.engine.counting import Crash, cancelled, counting_step, scripted_step

PROGRAM = Program(read_event, scripted_step, encode_record)
DEADLINE_SECONDS = 30.0
DAY_MS = 86_400_000

Open = Callable[..., EmbeddedHost]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    """Opens the host of the test's directory, closing the one before."""
    hosts: list[EmbeddedHost] = []

    def opened(partitions: int | None = None, **options: object) -> EmbeddedHost:
        while hosts:
            hosts.pop().close()
        hosts.append(EmbeddedHost(tmp_path / "data", partitions, **{"program": PROGRAM, **options}))  # type: ignore[arg-type]
        return hosts[-1]

    yield opened
    while hosts:
        hosts.pop().close()


def events(count: int, customers: int = 5) -> list[bytes]:
    """Avro payloads of so many customers."""
    return [encode_event(cancelled(f"e{number}", f"C{number % customers}")) for number in range(count)]


def outputs(host: EmbeddedHost) -> dict[tuple[str, int], list[tuple[str | None, bytes | None]]]:
    """Key and bytes of all outputs, by topic and partition."""
    found: dict[tuple[str, int], list[tuple[str | None, bytes | None]]] = {}
    for topic in host.counts():
        if topic in INPUT_TOPICS or topic == SEQUENCE:
            continue
        for partition in range(host.partitions):
            records = whole(host, topic, partition)
            if records:
                found[topic, partition] = [(record.key, record.value) for record in records]
    return found


def whole(host: EmbeddedHost, topic: str, partition: int) -> list[StoredRecord]:
    """All records of a stream."""
    records: list[StoredRecord] = []
    while found := host.read(topic, partition, len(records)):
        records += found
    return records


def expected(payloads: list[bytes], partitions: int) -> dict[tuple[str, int], list[tuple[str | None, bytes | None]]]:
    """What a straight run in memory publishes, by topic and partition."""
    host = MemoryHost(partitions, program=PROGRAM, keep_log=True)
    for payload in payloads:
        host.process(payload)
    host.checkpoint()
    found: dict[tuple[str, int], list[tuple[str | None, bytes | None]]] = {}
    for partition, made in enumerate(host.log.checkpoints):
        for checkpoint in made:
            for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
                found.setdefault((publication.topic, partition), []).append((publication.key, value))
    return found


def test_outputs_are_those_of_a_straight_run_in_memory(reopen: Open) -> None:
    """Byte for byte, in the same partitions, bad lines included."""
    payloads = [*events(300, 17), b"rubbish", b'{"type":"OrderCancelled","event_id":"x"}', *events(40)]
    host = reopen(4)
    host.append(payloads)
    assert host.process_pending() == len(payloads)
    assert outputs(host) == expected(payloads, 4)


def test_a_receipt_says_where_the_input_lies(reopen: Open) -> None:
    """Its topic, the partition of its key, and its offset there; one for each payload, in order."""
    host = reopen(4)
    published = encode_event(SettingsPublished(event_id="s", occurred_at=0, version=1, document="{}"))
    one, two, settings, rubbish = host.append([*events(2, 1), published, b"rubbish"])
    partition = partition_of("C0", 4)
    assert [(one.topic, one.partition, one.offset), (two.topic, two.partition, two.offset)] == [
        (ORDERS, partition, 0),
        (ORDERS, partition, 1),
    ]
    assert (settings.topic, settings.partition, rubbish.topic, rubbish.partition) == (SETTINGS, 0, INBOX, 0)
    assert host.read(ORDERS, partition, 1)[0].value == events(2, 1)[1]


def test_json_that_reads_as_an_event_is_logged_as_avro_and_other_bytes_as_they_came(reopen: Open) -> None:
    """The log has one form of an event, and loses nothing of what is none."""
    host = reopen(1)
    line = (
        b'{"type":"OrderCancelled","event_id":"e0","occurred_at":"1970-01-01T00:00:00Z",'
        b'"order_id":"o","customer_id":"C0"}'
    )
    host.append([line, b"\xff\x00rubbish"])
    assert host.read(ORDERS, 0, 0)[0].value == events(1)[0]
    assert host.read(INBOX, 0, 0)[0].value == b"\xff\x00rubbish"


def test_nothing_is_an_empty_append(reopen: Open) -> None:
    """No write, no receipts."""
    host = reopen(1)
    assert host.append([]) == []
    assert host.counts() == {}


def test_an_event_for_all_is_taken_by_every_partition(reopen: Open) -> None:
    """Settings lie once in the log and are read by all."""
    host = reopen(3)
    host.append([encode_event(SettingsPublished(event_id="s", occurred_at=0, version=1, document="{}"))])
    assert host.lag() == 3
    host.process_pending()
    assert host.counts() == {SETTINGS: 1, RUNS: 3, SEQUENCE: 3}


def test_a_command_for_all_is_appended_to_every_partition_with_one_id(reopen: Open) -> None:
    """Spec 2: written once to every partition with the same `event_id`."""
    host = reopen(3)
    line = b'{"type":"EvaluateHolds","event_id":"c1","occurred_at":"2026-01-01T00:00:00Z","actor":"ana"}'
    (receipt,) = host.append([line])
    assert (receipt.partition, receipt.offset) == (0, 0)
    host.process_pending()
    values = [record.value for record in (host.read("credit.commands", partition, 0)[0] for partition in range(3))]
    assert len(set(values)) == 1
    assert host.counts()[RUNS] == 3


def test_what_was_taken_is_not_taken_again_after_a_restart(reopen: Open) -> None:
    """And what was not, is."""
    payloads = events(50)
    host = reopen(2)
    host.append(payloads)
    assert host.process_pending(inputs_max=20) == 20
    host = reopen()
    assert host.lag() == 30
    assert host.process_pending() == 30
    assert reopen().process_pending() == 0
    assert outputs(reopen()) == expected(payloads, 2)


def test_the_order_of_arrival_outlives_a_restart(reopen: Open) -> None:
    """Inputs of different topics that were appended before and after are taken in that order."""
    host = reopen(1)
    line = (
        b'{"type":"EvaluateHolds","event_id":"c%d","occurred_at":"2026-01-01T00:00:00Z",'
        b'"actor":"ana","customer_id":"C"}'
    )
    for number in range(3):
        host.append([line % number, encode_event(cancelled(f"e{number}", "C"))])
        host = reopen()
    host.process_pending()
    order = [_run(record).event_id for record in whole(host, RUNS, 0)]
    assert order == ["c0", "e0", "c1", "e1", "c2", "e2"]


def test_inputs_beyond_the_tail_are_read_from_the_disk(reopen: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is far behind takes the same in the same order."""
    monkeypatch.setattr(embedded_log, "TAIL_RECORDS_MAX", 10)
    payloads = events(200)
    host = reopen(2)
    for at in range(0, 200, 7):
        host.append(payloads[at : at + 7])
        host.process_pending(inputs_max=3)
    host.process_pending()
    assert outputs(host) == expected(payloads, 2)


def test_a_crash_in_a_step_leaves_nothing_of_its_batch_and_stops_the_host(reopen: Open) -> None:
    """Neither outputs nor positions; nothing more is accepted by this process."""
    host = reopen(1)
    host.append(events(2))
    host.process_pending()
    host.append([*events(1), encode_event(cancelled("bad", "C1", "crash"))])
    with pytest.raises(Crash, match="bad"):
        host.process_pending()
    assert host.counts()[RUNS] == 2
    with pytest.raises(EngineStopped, match="bad"):
        host.append(events(1))
    with pytest.raises(EngineStopped):
        host.wait_idle(DEADLINE_SECONDS)
    mended = reopen(program=PROGRAM._replace(step=counting_step))
    assert mended.process_pending() == 2
    assert mended.counts()[RUNS] == 4


def test_requests_are_durable_inputs_of_the_partition_of_their_key(reopen: Open) -> None:
    """A restart between the request and its answer loses nothing."""
    host = reopen(4)
    host.append([encode_event(cancelled("e1", "C1", "forward"))])
    assert host.process_pending(inputs_max=1) == 1
    host = reopen()
    assert host.lag() == 1
    host.process_pending()
    answered = whole(host, RUNS, partition_of("friend of C1", 4))[-1]
    assert (answered.key, _run(answered).event_id) == ("friend of C1", "e1/forwarded")


def test_the_newest_record_of_a_key_is_found_and_a_tombstone_takes_it_away(reopen: Open) -> None:
    """What the read API asks for."""

    def step(view: object, event: Event, position: object) -> StepResult:
        result = counting_step(view, event, position)  # type: ignore[arg-type]
        if event.source == "gone":
            (published,) = result.publications
            result = msgspec.structs.replace(result, publications=[msgspec.structs.replace(published, record=None)])
        return result

    host = reopen(2, program=PROGRAM._replace(step=step))  # type: ignore[arg-type]
    host.append([encode_event(cancelled(f"e{number}", f"C{number % 3}")) for number in range(6)])
    host.append([encode_event(cancelled("last", "C1", "gone"))])
    host.process_pending()
    newest = host.latest(RUNS, "C2")
    assert newest is not None
    assert _run(newest).processed == 2
    assert host.latest(RUNS, "C1") is None
    assert host.latest(RUNS, "nobody") is None
    assert [record.key for record in host.scan_latest(RUNS)] == ["C0", "C2"]


def test_newest_records_are_listed_page_by_page_in_the_order_of_keys(reopen: Open) -> None:
    """From after a key on, so that a page follows the one before."""
    host = reopen(3)
    host.append(events(20, 20))
    host.process_pending()
    keys: list[str] = []
    while page := host.scan_latest(RUNS, after=keys[-1] if keys else None, limit=7):
        keys += [record.key or "" for record in page]
    assert keys == sorted(f"C{number}" for number in range(20))
    assert host.scan_latest("credit.run") == []


def test_a_dead_letter_tells_its_place_and_has_the_bytes(reopen: Open) -> None:
    """It can be found by its id's parts and be mended."""
    host = reopen(2)
    host.append([b"rubbish"])
    host.process_pending()
    (record,) = whole(host, DEAD_LETTERS, 0)
    letter = decode_avro(record.value or b"")
    assert isinstance(letter, DeadLetter)
    assert (letter.dead_letter_id, letter.payload) == (f"{INBOX}/0/0", b"rubbish")


def test_the_engine_thread_takes_what_comes(reopen: Open) -> None:
    """Appends from several threads' worth of calls, waited for without sleeping."""
    host = reopen(4)
    host.start()
    payloads = events(500)
    for at in range(0, 500, 25):
        host.append(payloads[at : at + 25])
    host.wait_idle(DEADLINE_SECONDS)
    assert outputs(host) == expected(payloads, 4)
    host.stop()


def test_a_failure_in_the_engine_thread_is_told_at_once(reopen: Open) -> None:
    """The process must stop: whoever runs the host is called, and waiting ends."""
    told = Signal()
    failures: list[BaseException] = []

    def on_failure(error: BaseException) -> None:
        failures.append(error)
        told.set()

    host = reopen(1, on_failure=on_failure)
    host.start()
    host.append([encode_event(cancelled("bad", "C1", "crash"))])
    assert told.wait(DEADLINE_SECONDS)
    assert host.failure is failures[0]
    with pytest.raises(EngineStopped, match="bad"):
        host.wait_idle(DEADLINE_SECONDS)


def test_waiting_for_an_engine_that_was_not_started_ends_at_the_deadline(reopen: Open) -> None:
    """And says what is left."""
    host = reopen(1)
    host.append(events(3))
    with pytest.raises(NotIdle, match="3 inputs"):
        host.wait_idle(0.01)


def test_readers_can_wait_for_what_changes(reopen: Open) -> None:
    """For a page that follows the outputs."""
    host = reopen(1)
    seen = host.wait_for_change(-1, DEADLINE_SECONDS)
    assert host.wait_for_change(seen, 0.0) == seen
    host.append(events(1))
    assert host.wait_for_change(seen, DEADLINE_SECONDS) > seen


def test_ticks_are_made_while_ticking_and_recorded(reopen: Open) -> None:
    """By the clock: once at the start and once for each time that it is moved, whatever was missed."""
    clock = ManualClock(DAY_MS)
    host = reopen(2, clock=clock, ticking=True)
    host.start()
    _wait_for(host, lambda: host.counts().get(SEQUENCE, 0) == 2)
    clock.advance(3 * DAY_MS + 1)
    _wait_for(host, lambda: host.counts().get(SEQUENCE, 0) == 4)
    host.append(events(1))
    host.wait_idle(DEADLINE_SECONDS)
    host.stop()
    ticks = [entry for record in whole(host, SEQUENCE, 1) for entry in decode(record.value or b"").taken]
    assert [entry for entry in ticks if isinstance(entry, Tick)] == [Tick(DAY_MS), Tick(4 * DAY_MS)]
    assert _run(whole(host, RUNS, partition_of("C0", 2))[0]).business_date == 4


def test_no_ticks_are_made_while_not_ticking(reopen: Open) -> None:
    """A history is streamed in with its own clock."""
    clock = ManualClock(DAY_MS)
    host = reopen(1, clock=clock)
    host.start()
    clock.advance(DAY_MS)
    host.append(events(1))
    host.wait_idle(DEADLINE_SECONDS)
    assert host.counts()[SEQUENCE] == 1


def test_the_clock_waits_until_what_was_left_over_has_been_taken(reopen: Open) -> None:
    """After a restart the backlog is decided before the date moves on."""
    host = reopen(1)
    host.append(events(50, 1))
    host = reopen(clock=ManualClock(9 * DAY_MS), ticking=True, limits=BatchLimits(inputs_max=10))
    host.start()
    host.wait_idle(DEADLINE_SECONDS)
    _wait_for(host, lambda: host.counts()[SEQUENCE] == 6)
    assert {_run(record).business_date for record in whole(host, RUNS, 0)} == {0}


@pytest.mark.parametrize(
    ("fsync", "synced"),
    [
        ("always", {"append": True, "inputs": False, "request": True, "tick": True}),
        ("never", {"append": False, "inputs": False, "request": False, "tick": False}),
    ],
)
def test_what_cannot_be_computed_again_is_synced(
    reopen: Open, monkeypatch: pytest.MonkeyPatch, fsync: str, synced: dict[str, bool]
) -> None:
    """Inputs, requests and ticks; a checkpoint of inputs only is a function of what is on the disk already."""
    host = reopen(1, fsync=fsync)
    syncs: list[bool] = []
    write = Database.write
    monkeypatch.setattr(Database, "write", lambda self, batch, sync: (syncs.append(sync), write(self, batch, sync)))
    found = {}
    host.append(events(2))
    found["append"] = syncs.pop()
    host.process_pending()
    found["inputs"] = syncs.pop()
    host.append([encode_event(cancelled("e", "C", "forward"))])
    host.process_pending(1)
    found["request"] = syncs.pop()
    host.tick(DAY_MS)
    found["tick"] = syncs.pop()
    assert found == synced


def test_a_closed_host_says_so(reopen: Open) -> None:
    """And closing it twice is no mistake."""
    host = reopen(1)
    host.close()
    host.close()
    with pytest.raises(HostClosed, match="open it again"):
        host.append(events(1))


def test_a_directory_belongs_to_one_process(reopen: Open, tmp_path: Path) -> None:
    """The second gets a sentence, also within one process, and the first goes on."""
    host = reopen(1)
    with pytest.raises(DirectoryInUse, match="Stop that one first"):
        EmbeddedHost(tmp_path / "data", program=PROGRAM)
    script = (
        "import sys; from credit_stream.hosts.embedded import EmbeddedHost\n"
        "from credit_stream.hosts.failures import DirectoryInUse\n"
        "try: EmbeddedHost(sys.argv[1])\n"
        "except DirectoryInUse: sys.exit(7)\n"
    )
    other = subprocess.run([sys.executable, "-c", script, str(tmp_path / "data")], check=False, timeout=60)
    assert other.returncode == 7
    host.append(events(1))


def test_a_directory_keeps_its_number_of_partitions(reopen: Open) -> None:
    """Else customers would move away from their rows; the sentence says what to do."""
    reopen(3)
    assert reopen().partitions == 3
    with pytest.raises(WrongPartitions, match="Open it with 3"):
        reopen(4)
    assert reopen(3).partitions == 3


@pytest.mark.parametrize("partitions", [0, -1, 65_536])
def test_a_number_of_partitions_that_cannot_be_is_refused(reopen: Open, partitions: int) -> None:
    """Before anything is made."""
    with pytest.raises(ValueError, match="from 1 to"):
        reopen(partitions)


def test_a_directory_of_another_format_is_refused(reopen: Open, tmp_path: Path) -> None:
    """A newer one, a damaged one, and data whose format file was lost."""
    reopen(1).close()
    file = tmp_path / "data" / "format.json"
    for content in (b'{"format":2,"partitions":1}', b"{"):
        file.write_bytes(content)
        with pytest.raises(UnknownFormat):
            EmbeddedHost(tmp_path / "data", program=PROGRAM)
    file.unlink()
    with pytest.raises(UnknownFormat, match="Put that file back"):
        EmbeddedHost(tmp_path / "data", program=PROGRAM)


def _run(record: StoredRecord) -> RunCompleted:
    decoded = decode_avro(record.value or b"")
    assert isinstance(decoded, RunCompleted)
    return decoded


def _wait_for(host: EmbeddedHost, condition: Callable[[], bool]) -> None:
    """Until the condition holds; looked at again whenever something changes."""
    seen = -1
    while not condition():
        changed = host.wait_for_change(seen, DEADLINE_SECONDS)
        assert changed != seen, "nothing changed any more"
        seen = changed
