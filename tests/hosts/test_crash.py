"""The embedded host is killed and its disk runs full: nothing that was acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from credit_stream.core.topics import INBOX, INPUT_TOPICS, ORDERS, SEQUENCE
from credit_stream.engine.sequence import Run, decode
from credit_stream.hosts.embedded import EmbeddedHost
from credit_stream.hosts.memory import MemoryHost
from tests.hosts.appender import DISK_FULL, PARTITIONS, PROGRAM, payload

KILLS = 4
DEATHS = 8
ACKNOWLEDGEMENTS_MAX = 150
"""Calls of `append` before a kill."""
ROOT = Path(__file__).resolve().parent.parent.parent

Outputs = dict[tuple[str, int], list[tuple[str | None, bytes | None]]]


def appender(directory: Path, mode: str, **options: object) -> subprocess.Popen[bytes]:
    """The process that appends."""
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "tests.hosts.appender", str(directory), f"--mode={mode}", *given]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)


def killed_after(process: subprocess.Popen[bytes], acknowledgements: int) -> int:
    """Kills it after so many calls were acknowledged; how many events that were, as far as anybody was told."""
    assert process.stdout is not None
    told = b"0"
    for _ in range(acknowledgements):
        line = process.stdout.readline()
        if not line:
            break
        told = line
    process.send_signal(signal.SIGKILL)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors.decode()
    return int((told + rest).split()[-1])


def records(host: EmbeddedHost, topic: str, partition: int) -> Iterator[tuple[str | None, bytes | None]]:
    """Key and bytes of a whole stream."""
    offset = 0
    while found := host.read(topic, partition, offset):
        offset += len(found)
        yield from ((record.key, record.value) for record in found)


def logged(host: EmbeddedHost, mode: str) -> int:
    """How many of the numbered events lie in the log; it must be the first so many, each once."""
    streams = [(topic, partition) for topic in (ORDERS, INBOX) for partition in range(PARTITIONS)]
    found = Counter(value for stream in streams for _, value in records(host, *stream))
    sent = 0
    while found.pop(payload(sent, mode), 0) == 1:
        sent += 1
    assert all(value is not None and b"/forwarded" in value for value in found), found
    return sent


def outputs(host: EmbeddedHost) -> Outputs:
    """All outputs by topic and partition."""
    topics = [topic for topic in host.counts() if topic not in INPUT_TOPICS and topic != SEQUENCE]
    streams = ((topic, partition) for topic in topics for partition in range(PARTITIONS))
    return {stream: found for stream in streams if (found := list(records(host, *stream)))}


def assert_each_input_was_taken_once(host: EmbeddedHost, whole: bool = True) -> None:
    """By the recorded order: the runs of each topic lie end to end, if `whole` up to the end of the stream."""
    for partition in range(PARTITIONS):
        ends: dict[str, int] = {}
        for _, value in records(host, SEQUENCE, partition):
            for entry in decode(value or b"").taken:
                if isinstance(entry, Run):
                    assert entry.first_offset == ends.get(entry.topic, 0)
                    ends[entry.topic] = entry.first_offset + entry.count
        assert not whole or ends.get(ORDERS, 0) == sum(1 for _ in records(host, ORDERS, partition))


def test_a_kill_at_any_moment_loses_nothing_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """After every restart all that was acknowledged is there, taken once, and a replay gives the same bytes."""
    chance = random.Random(seed)
    acknowledged = sent = 0
    for _ in range(KILLS):
        process = appender(tmp_path / "data", "busy", seed=chance.randrange(2**32), first=sent)
        acknowledged = max(acknowledged, killed_after(process, chance.randrange(ACKNOWLEDGEMENTS_MAX)))
        with EmbeddedHost(tmp_path / "data", PARTITIONS, program=PROGRAM) as host:
            sent = logged(host, "busy")
            assert sent >= acknowledged
            host.process_pending(chance.choice([0, 1, 100]))
    with EmbeddedHost(tmp_path / "data", program=PROGRAM) as host:
        host.process_pending()
        assert_each_input_was_taken_once(host)
        replayed = host.replay()
        assert replayed.difference is None
        assert replayed.agreed >= sent


def test_a_kill_around_any_write_loses_nothing_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    """Between two writes the disk is never half of a checkpoint, whichever two they are."""
    chance = random.Random(seed)
    acknowledged = sent = 0
    for _ in range(DEATHS):
        die = {"die_at": chance.randrange(1, 40), "die": chance.choice(["before", "after"])}
        process = appender(tmp_path / "data", "plain", seed=chance.randrange(2**32), first=sent, **die)
        told, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors.decode()
        acknowledged = int(told.split()[-1]) if told else acknowledged
        with EmbeddedHost(tmp_path / "data", PARTITIONS, program=PROGRAM) as host:
            sent = logged(host, "plain")
            assert sent >= acknowledged
            assert_each_input_was_taken_once(host, whole=False)
    with EmbeddedHost(tmp_path / "data", program=PROGRAM) as host:
        host.process_pending()
        assert_each_input_was_taken_once(host)
        assert outputs(host) == straight_run(sent)


def test_after_kills_the_outputs_are_those_of_a_straight_run(tmp_path: Path, seed: int) -> None:
    """None missing, none twice, byte for byte: against the host in memory, which was never killed."""
    chance = random.Random(seed)
    sent = 0
    for _ in range(KILLS):
        process = appender(tmp_path / "data", "plain", seed=chance.randrange(2**32), first=sent)
        acknowledged = killed_after(process, chance.randrange(ACKNOWLEDGEMENTS_MAX))
        with EmbeddedHost(tmp_path / "data", PARTITIONS, program=PROGRAM) as host:
            sent = logged(host, "plain")
            assert sent >= acknowledged
    with EmbeddedHost(tmp_path / "data", program=PROGRAM) as host:
        host.process_pending()
        assert outputs(host) == straight_run(sent)


def test_a_full_disk_stops_the_process_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    """It says what to do; with room again it opens, has all that was acknowledged, and goes on."""
    process = appender(tmp_path / "data", "plain", seed=seed, file_bytes=400_000)
    told, errors = process.communicate(timeout=60)
    assert process.returncode == DISK_FULL, errors.decode()
    assert b"is full" in errors
    assert b"Free some space" in errors
    with EmbeddedHost(tmp_path / "data", program=PROGRAM) as host:
        sent = logged(host, "plain")
        assert sent >= int(told.split()[-1]) > 0
        host.append([payload(sent, "plain")])
        host.process_pending()
        assert outputs(host) == straight_run(sent + 1)


def test_a_checkpoint_that_the_disk_has_no_room_for_leaves_nothing(tmp_path: Path) -> None:
    """The engine stops with the same message; after that the batch is taken again, once."""
    program = (
        "import resource, sys\n"
        "from credit_stream.hosts.embedded import EmbeddedHost\n"
        "from credit_stream.hosts.failures import DiskFull\n"
        "from tests.hosts.appender import DISK_FULL, PROGRAM, payload\n"
        "host = EmbeddedHost(sys.argv[1], 3, program=PROGRAM)\n"
        "host.append([payload(number, 'plain') for number in range(2_000)])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))\n"
        "try: host.process_pending()\n"
        "except DiskFull: sys.exit(DISK_FULL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "data")], check=False, timeout=60, cwd=ROOT)
    assert ended.returncode == DISK_FULL
    with EmbeddedHost(tmp_path / "data", program=PROGRAM) as host:
        assert host.lag() == 2_000
        assert set(host.counts()) == {ORDERS, INBOX}
        host.process_pending()
        assert outputs(host) == straight_run(2_000)


def straight_run(count: int) -> Outputs:
    """The same events through the host in memory, by topic and partition."""
    host = MemoryHost(PARTITIONS, program=PROGRAM, keep_log=True)
    for number in range(count):
        host.process(payload(number, "plain"))
    host.checkpoint()
    found: Outputs = {}
    for partition, made in enumerate(host.log.checkpoints):
        for checkpoint in made:
            for publication, value in zip(checkpoint.publications, checkpoint.values, strict=True):
                found.setdefault((publication.topic, partition), []).append((publication.key, value))
    return found
