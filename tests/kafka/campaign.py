"""The kill campaign: workers of both hosts are killed at random while events come in, and at the end all is compared.

    python -m tests.kafka.campaign --kills 100 --seed 7

Everything that is chosen comes from the seed. When it happens depends on the machine, so the same seed makes a similar
run and not the same one. A worker that ends is started again, as a supervisor would; a kill may also befall it at a
place in its own code (`hosts.kafka.failpoints`). Between two lives its directory may be lost, damaged, replaced by an
old copy of itself, or given to another worker, and the other host may take over.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from credit_stream.company import Plan, events
from credit_stream.hosts.kafka.connection import Connection
from credit_stream.hosts.kafka.failpoints import FAILPOINTS
from credit_stream.hosts.kafka.topics import create
from credit_stream.local_kafka import LocalKafka
from tests.company.pools import contested
from tests.kafka.audit import Audited, audit
from tests.kafka.flow import Group, Sender
from tests.kafka.proof import History, prove
from tests.kafka.rows_proof import prove_rows
from tests.kafka.worker_process import KINDS, PATIENCE_SECONDS, Kind, NotInTime, WorkerProcess, until

PARTITIONS = 4
WORKERS = (2, 3)
"""At least and at most."""
SESSION_SECONDS = 3
EVENTS_A_SECOND = 250.0
HEAD_START = 400
"""Events that are there when the first worker starts: settings, rates, customers."""
SETTLE_SECONDS_MAX = 300.0
"""For all that was sent to be taken, at the end."""
TEXT_SHOWN = 6_000
"""Of what a worker has written, its end."""

BLOWS = (59, 25, 8, 8)
"""Of a hundred: a kill, SIGTERM, SIGSTOP for a while, and a kill of the broker if that takes part."""

EXCUSED = {"Fenced"}
"""Failures with which a worker may end by itself: another one has its partitions."""
EXCUSED_WHEN_DAMAGED = {"StorageDamaged", "StorageFailed", "Fenced"}
EXCUSED_WITHOUT_BROKER = {"BrokersLost", "Unreachable", "KafkaFailure", "Fenced", "MemberTaken"}
"""`MemberTaken`: the answer to a static member that joined was lost with the broker, and it came again as who it had
been before."""


class Report(Struct, kw_only=True):
    """What a campaign did and what came of it. No `differences` and no `troubles`: nothing lost, nothing doubled."""

    seed: int
    seconds: float
    blows: dict[str, int]
    """What was done how often: `killed`, `terminated`, `killed at checkpoint.produced`, `frozen`, ..."""
    fates: dict[str, int]
    """What befell directories between two lives of a worker."""
    ends: dict[str, int]
    """Workers that ended by themselves, by the kind of failure that they said."""
    sent: int
    inputs: int
    outputs: int
    checkpoints: int
    rows: int
    """Rows that were compared, in the changelog and in the directories."""
    copies: int
    audited: Audited
    """What the second model has looked at, pools above all."""
    differences: list[str]
    troubles: list[str]
    """Workers that ended otherwise than they should."""

    @property
    def kills(self) -> int:
        """Workers that were ended from outside or at a failpoint."""
        return sum(count for name, count in self.blows.items() if name.startswith(("killed", "terminated")))

    def text(self) -> str:
        """For people."""

        def counts(of: dict[str, int]) -> str:
            return ", ".join(f"{name} {count}" for name, count in sorted(of.items())) or "none"

        return "\n".join(
            [
                f"seed {self.seed}: {self.kills} kills in {self.seconds:.0f} s",
                f"  blows: {counts(self.blows)}",
                f"  directories: {counts(self.fates)}",
                f"  ended by themselves: {counts(self.ends)}",
                f"  {self.sent} records sent, {self.inputs} inputs taken in {self.checkpoints} checkpoints",
                f"  compared with a straight replay: {self.outputs} outputs, {self.rows} rows in {self.copies} copies",
                f"  followed by the second model: {self.audited.steps} steps, {self.audited.decisions} decisions,"
                f" {self.audited.answers} answers of credit groups ({self.audited.crossing} from another partition),"
                f" {self.audited.released_by_group} orders released out of pools",
                f"  differences: {len(self.differences)}, troubles: {len(self.troubles)}",
                *(f"    {each}" for each in [*self.differences, *self.troubles]),
            ]
        )


class Slot:
    """A place for a worker, with the directory that it has now."""

    def __init__(self, number: int, directory: Path) -> None:
        self.number = number
        self.directory = directory
        self.old_copy: Path | None = None
        self.is_damaged = False
        self.failpoint = ""
        self.thaws_at: float | None = None
        """When a worker that stopped at its failpoint goes on."""
        self.worker: WorkerProcess | None = None


class Campaign:
    """One cluster, one group, workers that are killed. Used once."""

    def __init__(
        self,
        connection: Connection,
        directory: Path,
        seed: int,
        *,
        kinds: Sequence[Kind] = KINDS,
        broker: LocalKafka | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """`broker`: is killed now and then too. `say` is told what is done."""
        self._connection = connection
        self._directory = directory
        self._seed = seed
        self._chance = random.Random(seed)
        self._kinds = kinds
        self._broker = broker
        self._say = say
        self._began = time.monotonic()
        self._slots = [Slot(number, self._new_directory()) for number in range(WORKERS[1])]
        self._lives = 0
        self._blows: Counter[str] = Counter()
        self._fates: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()
        self._troubles: list[str] = []
        self._is_over = False

    def run(self, kills: int, events_a_second: float = EVENTS_A_SECOND) -> Report:
        """Makes the topics, kills so often, waits until everything is taken, and compares."""
        create(self._connection, PARTITIONS, 1)
        plan = Plan(seed=self._seed % 2**31, customers=300, days=None, orders_a_day=150, groups=True)
        self._group = Group(self._connection, PARTITIONS)
        sender = Sender(self._connection, PARTITIONS, contested(events(plan)), self._seed)
        try:
            sender.send(HEAD_START)
            for slot in self._slots[: WORKERS[0]]:
                self._start(slot)
            sender.start(events_a_second)
            while self._killed < kills:
                self._strike()
            sender.stop()
            self._settle()
        except NotInTime:
            for slot in self._slots:
                if slot.worker is not None:
                    slot.worker.abort()
            raise
        finally:
            self._end_all(sender)
        return self._report(sender.sent)

    # --- blows -------------------------------------------------------------------------------------------------------

    @property
    def _killed(self) -> int:
        return sum(count for name, count in self._blows.items() if name.startswith(("killed", "terminated")))

    def _strike(self) -> None:
        """Waits for a moment, strikes some of the workers, and starts them again."""
        self._wait_for_a_moment()
        running = [slot for slot in self._slots if slot.worker is not None]
        victims = self._chance.sample(running, min(len(running), self._chance.choice((1, 1, 1, 1, 2, 3))))
        blow = self._chance.choices((self._kill, self._terminate, self._freeze, self._kill_broker), BLOWS)[0]
        if blow == self._kill_broker and self._broker is None:
            blow = self._kill
        blow(victims)
        for slot in victims:
            if slot.worker is None:
                self._befall(slot, victims)
        self._resize(victims)

    def _wait_for_a_moment(self) -> None:
        """While a worker joins and restores, in the middle of catching up, or when all goes well."""
        kind = self._chance.choice(("at once", "joining", "joining", "progress", "progress", "progress"))
        if kind != "at once":
            self._wait_until(self._have_started, "the workers have started")
        if kind == "progress":
            inputs = self._chance.choice((1, 50, 500))
            goal = self._group.progress() + inputs
            self._wait_until(lambda: self._group.progress() >= goal, f"{inputs} more inputs are taken")
        moment = time.monotonic() + self._chance.uniform(0, 1.5)
        self._wait_until(lambda: time.monotonic() >= moment, "the moment")

    def _have_started(self) -> bool:
        """They join next, and restore."""
        return all(slot.worker is None or slot.worker.has_started for slot in self._slots)

    def _kill(self, victims: list[Slot]) -> None:
        for slot in victims:
            self._note("killed", slot)
            self._worker(slot).signal(signal.SIGKILL)
        for slot in victims:
            self._worker(slot).kill()
            slot.worker = None

    def _terminate(self, victims: list[Slot]) -> None:
        for slot in victims:
            self._note("terminated", slot)
            self._worker(slot).signal(signal.SIGTERM)
            self._worker(slot).signal(signal.SIGCONT)  # Who is frozen would take it only then.
        for slot in victims:
            worker = self._worker(slot)
            try:
                until(lambda slot=slot: self._has_ended(slot), "it ends")  # type: ignore[misc]
                if worker.exit_status != 0:
                    self._examine(slot, worker)
            except NotInTime:
                worker.abort()
                self._trouble(worker, "did not end after SIGTERM")
            slot.worker = None

    def _has_ended(self, slot: Slot) -> bool:
        """A failpoint may freeze it on its way to the end."""
        self._thaw(slot)
        return self._worker(slot).exit_status is not None

    def _freeze(self, victims: list[Slot]) -> None:
        """Longer than their session, so that others have their partitions when they go on."""
        for slot in victims:
            self._note("frozen", slot)
            self._worker(slot).signal(signal.SIGSTOP)
        thaw = time.monotonic() + SESSION_SECONDS * self._chance.uniform(1.2, 2.0)
        until(lambda: time.monotonic() >= thaw, "their sessions are over")
        for slot in victims:
            self._worker(slot).signal(signal.SIGCONT)

    def _kill_broker(self, _: list[Slot]) -> None:
        assert self._broker is not None
        self._blows["broker killed"] += 1
        self._say(f"{self._now()} the broker is killed")
        self._broker.kill()
        self._broker.start_node()

    def _befall(self, slot: Slot, victims: list[Slot]) -> None:
        """What happens to the directory of a worker that has ended."""
        fates = (self._keep, self._lose, self._damage, self._bring_back, self._exchange, self._copy)
        fate = self._chance.choices(fates, (50, 12, 10, 8, 10, 10))[0]
        if (slot.directory / "rocksdb").exists() and fate(slot, victims):
            self._fates[fate.__name__.lstrip("_")] += 1

    def _resize(self, victims: list[Slot]) -> None:
        """Starts those that have ended, or one more or one fewer."""
        ended = [slot for slot in self._slots if slot.worker is None]
        spares = len([slot for slot in ended if slot not in victims])
        wanted = self._chance.randint(*WORKERS)
        running = len(self._slots) - len(ended)
        for slot in ended[: max(0, wanted - running)]:
            self._start(slot)
        self._blows["added"] += max(0, min(spares, wanted - running - (len(ended) - spares)))
        self._blows["left away"] += max(0, len(ended) - spares - max(0, wanted - running))

    # --- directories -------------------------------------------------------------------------------------------------

    def _keep(self, slot: Slot, victims: list[Slot]) -> bool:
        return True

    def _lose(self, slot: Slot, victims: list[Slot]) -> bool:
        shutil.rmtree(slot.directory)
        slot.is_damaged = False
        return True

    def _damage(self, slot: Slot, victims: list[Slot]) -> bool:
        """A piece of a file overwritten, cut off, or a whole file gone."""
        files = sorted(path for path in (slot.directory / "rocksdb").iterdir() if path.stat().st_size > 0)
        file = self._chance.choice(files)
        how = self._chance.choice(("overwrite", "cut", "remove"))
        size = file.stat().st_size
        slot.is_damaged = True
        if how == "remove":
            file.unlink()
        elif how == "cut":
            os.truncate(file, self._chance.randrange(size))
        else:
            with file.open("r+b") as opened:
                opened.seek(self._chance.randrange(size))
                opened.write(self._chance.randbytes(64))
        self._say(f"{self._now()} damage: {how} {file.name}")
        return True

    def _copy(self, slot: Slot, victims: list[Slot]) -> bool:
        """Kept to be brought back later."""
        if slot.is_damaged:
            return False
        slot.old_copy = self._new_directory()
        shutil.copytree(slot.directory, slot.old_copy)
        return True

    def _bring_back(self, slot: Slot, victims: list[Slot]) -> bool:
        if slot.old_copy is None:
            return False
        shutil.rmtree(slot.directory)
        shutil.copytree(slot.old_copy, slot.directory)
        slot.is_damaged = False
        return True

    def _exchange(self, slot: Slot, victims: list[Slot]) -> bool:
        others = [each for each in victims if each is not slot and each.worker is None]
        if not others:
            return False
        other = self._chance.choice(others)
        slot.directory, other.directory = other.directory, slot.directory
        slot.is_damaged, other.is_damaged = other.is_damaged, slot.is_damaged
        slot.old_copy, other.old_copy = other.old_copy, slot.old_copy
        return True

    def _new_directory(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="state-", dir=self._directory)) / "rows"

    # --- looking after the workers -----------------------------------------------------------------------------------

    def _start(self, slot: Slot) -> None:
        self._lives += 1
        kind = self._chance.choice(self._kinds)
        is_static = kind == "librdkafka" and self._chance.random() < 0.5
        has_failpoint = self._chance.random() < 0.4
        setting = self._failpoint()
        slot.failpoint = setting if has_failpoint and not self._is_over else ""
        slot.thaws_at = None
        slot.worker = WorkerProcess(
            self._connection,
            slot.directory,
            self._directory / f"worker-{self._lives:03}-{kind}.log",
            kind=kind,
            session_seconds=SESSION_SECONDS,
            member=f"member-{slot.number}" if is_static else None,
            failpoint=slot.failpoint,
        )
        self._say(f"{self._now()} start {slot.number}: {kind} {'static' if is_static else ''} {slot.failpoint}")

    def _failpoint(self) -> str:
        """A place in the worker's code, how often it may come by, and whether it is killed there or frozen."""
        place = self._chance.choice(FAILPOINTS)
        times = self._chance.randint(1, 60) if place.startswith("checkpoint") else self._chance.randint(1, 3)
        return f"{place}:{times}:{self._chance.choice(('kill', 'kill', 'kill', 'stop'))}"

    def _wait_until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Meanwhile whoever ends is started again."""

        def look() -> bool:
            self._look_after()
            return condition()

        until(look, what, seconds)

    def _look_after(self) -> None:
        for slot in self._slots:
            worker = slot.worker
            if worker is None or worker.exit_status is None:
                self._thaw(slot)
                continue
            self._examine(slot, worker)
            slot.worker = None
            self._befall(slot, [slot])
            self._start(slot)

    def _thaw(self, slot: Slot) -> None:
        """Has a worker go on that stopped at its failpoint, when its session is over."""
        worker = slot.worker
        if worker is None or not slot.failpoint.endswith(":stop") or not worker.is_stopped:
            return
        if slot.thaws_at is None:
            slot.thaws_at = time.monotonic() + SESSION_SECONDS * 1.5
            self._note(f"frozen at {slot.failpoint.partition(':')[0]}", slot)
        elif time.monotonic() > slot.thaws_at:
            worker.signal(signal.SIGCONT)

    def _examine(self, slot: Slot, worker: WorkerProcess) -> None:
        """A worker has ended by itself: whether it may, and whether it says why."""
        status = worker.exit_status
        if status == -signal.SIGTERM and not worker.has_started:
            return  # Before it had said what is to be done then.
        if status == -signal.SIGKILL and slot.failpoint:
            self._note(f"killed at {slot.failpoint.partition(':')[0]}", slot)
            return
        failure = worker.failure
        kind = str(failure.get("kind", f"status {status}"))
        self._ends[kind] += 1
        self._say(f"{self._now()} {slot.number} ended: {kind}: {failure.get('message', '')}")
        excused = EXCUSED | (EXCUSED_WHEN_DAMAGED if slot.is_damaged else set())
        if self._blows["broker killed"]:
            excused |= EXCUSED_WITHOUT_BROKER
        if status != 1 or kind not in excused:
            self._trouble(worker, f"ended with {status}")

    def _trouble(self, worker: WorkerProcess, what: str) -> None:
        trouble = f"the {worker.kind} worker with the log {worker.log.name} {what}"
        self._say(f"{self._now()} TROUBLE: {trouble}")
        self._troubles.append(f"{trouble}: {worker.text[-TEXT_SHOWN:]}")

    def _worker(self, slot: Slot) -> WorkerProcess:
        assert slot.worker is not None
        return slot.worker

    def _note(self, what: str, slot: Slot) -> None:
        self._blows[what] += 1
        self._say(f"{self._now()} {what}: {slot.number} ({self._worker(slot).kind})")

    def _now(self) -> str:
        return f"{time.monotonic() - self._began:6.1f} s, {self._killed:3} kills:"

    # --- the end -----------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Nobody is struck any more; a failpoint may still come."""
        self._is_over = True
        self._say(f"{self._now()} waiting until all is taken")
        self._wait_until(self._group.has_taken_all, "all inputs are taken", SETTLE_SECONDS_MAX)
        self._terminate([slot for slot in self._slots if slot.worker is not None])

    def _end_all(self, sender: Sender) -> None:
        for slot in self._slots:
            if slot.worker is not None:
                slot.worker.kill()
                slot.worker = None
        sender.stop()
        self._group.close()

    def _report(self, sent: int) -> Report:
        self._say(f"{self._now()} comparing")
        history = History(self._connection, PARTITIONS)
        proof = prove(self._connection, PARTITIONS, history=history)
        sound = [
            slot.directory for slot in self._slots if not slot.is_damaged and (slot.directory / "rocksdb").exists()
        ]
        rows = prove_rows(self._connection, PARTITIONS, sound, history)
        self._say(f"{self._now()} the second model looks at it")
        audited = audit(self._connection, PARTITIONS, history)
        return Report(
            seed=self._seed,
            seconds=time.monotonic() - self._began,
            blows={name: count for name, count in self._blows.items() if count},
            fates=dict(self._fates),
            ends=dict(self._ends),
            sent=sent,
            inputs=proof.inputs,
            outputs=proof.outputs,
            checkpoints=proof.checkpoints,
            rows=rows.rows,
            copies=rows.copies,
            audited=audited,
            differences=[*proof.differences, *rows.differences, *audited.findings],
            troubles=self._troubles,
        )


def main() -> int:
    """The campaign by hand, on a broker of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="how many; 10 s each, about")
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run")
    parser.add_argument("--kinds", default=",".join(KINDS), help="hosts that take part")
    parser.add_argument("--events-a-second", type=float, default=EVENTS_A_SECOND)
    parser.add_argument("--with-broker", action="store_true", help="the broker is killed now and then too")
    parser.add_argument("--keep", type=Path, help="an empty directory for logs and rows, to look at afterwards")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    with LocalKafka() as kafka, tempfile.TemporaryDirectory(prefix="credit-stream-kill-") as directory:
        campaign = Campaign(
            Connection(brokers=kafka.bootstrap, application_id="kill"),
            options.keep or Path(directory),
            seed,
            kinds=[kind for kind in KINDS if kind in options.kinds.split(",")],
            broker=kafka if options.with_broker else None,
            say=lambda line: print(line, flush=True),
        )
        try:
            report = campaign.run(options.kills, options.events_a_second)
        except NotInTime as error:
            print(f"seed {seed}: {error}", flush=True)
            return 1
    print(report.text(), flush=True)
    return 1 if report.differences or report.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
