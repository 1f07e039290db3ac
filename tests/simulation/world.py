"""The simulated world: workers that own partitions, and one scheduler that does one thing at a time, from one seed.

What runs is the engine's own `PartitionTask` with the core's own step and the wire's own bytes, over simulated ports.
The scheduler chooses who takes how many records next, who ticks, who makes a checkpoint, which records become visible,
which worker dies, and where: the ports tell it every place between two steps of a checkpoint or of a restore
(`_reach`), and there it may kill the worker, or let the others go on, take his partition away, and then return.

A worker dies as a process does: all its tasks are gone, its disk stays as of the last write. A worker that does not
know yet that its partition was taken away goes on as a zombie until it is fenced.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from credit_stream.core import step as core_step
from credit_stream.core.topics import INPUT_TOPICS
from credit_stream.engine.task import BatchLimits, PartitionTask, Program
from credit_stream.hosts.program import encode_record
from credit_stream.hosts.ticking import Ticker
from credit_stream.wire.read import read_event
from tests.simulation.brokers import Brokers, Fenced
from tests.simulation.ports import SimulatedClock, SimulatedLog, SimulatedStore
from tests.simulation.workload import DAY_MS, START_MS, Message, Plan, Upstream

JUMP_DAYS_MAX = 200
"""All jumps of the clock together: event ids are remembered for longer than that."""
DRAIN_ROUNDS_MAX = 500
"""Rounds in which every task takes all that there is. Each answers what the others asked in the round before, so a
chain of questions that is longer than this goes round in circles."""
NESTED_MAX = 6
"""Things that others do while one task is between two steps of a checkpoint."""
CACHED_ROWS = (4, 60, 40_000)
"""Decoded rows that a task keeps: hardly any, some, all."""


class Crash(BaseException):
    """A worker is killed here. No exception of the engine's: nothing may catch it and go on."""


@dataclass
class Chaos:
    """What goes wrong how often. Each run has some of it much and some of it not at all: with everything in every run
    nothing would ever come far."""

    crash: float
    """At any place that a worker reaches."""
    interleave: float
    """That others act while one is at such a place."""
    takeover: float
    lose_disk: float
    old_disk: float
    stumble: float
    delay: float
    """That what is there is not shown yet."""
    compact: float
    jump: float
    skew_ms: int

    @classmethod
    def draw(cls, chance: random.Random) -> Chaos:
        """Some weather."""

        def some(*values: float) -> float:
            return chance.choice((0.0, *values))

        return cls(
            crash=some(0.002, 0.01, 0.03),
            interleave=some(0.05, 0.2),
            takeover=some(0.005, 0.02),
            lose_disk=some(0.1, 0.5),
            old_disk=some(0.1, 0.5),
            stumble=some(0.05, 0.3),
            delay=some(0.3, 0.7, 0.95),
            compact=some(0.01, 0.05),
            jump=some(0.005, 0.02),
            skew_ms=int(some(500, 120_000)),
        )


@dataclass(eq=False)
class Running:
    """A task that a worker has open."""

    task: PartitionTask
    log: SimulatedLog
    ticker: Ticker
    batch_max: int
    """Records after which this one usually makes a checkpoint."""
    taken: int = 0
    store: SimulatedStore | None = None


@dataclass(eq=False)
class Worker:
    """A process with its disk. `running` has zombies too: tasks of partitions that belong to another one by now."""

    number: int
    clock: SimulatedClock
    is_up: bool = False
    running: dict[int, Running] = field(default_factory=dict)
    disk: dict[int, SimulatedStore] = field(default_factory=dict)
    old_disk: dict[int, SimulatedStore] = field(default_factory=dict)


class World:
    """One run. Used once; afterwards `brokers` and `workers` are what is left of it."""

    def __init__(self, seed: int, events: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.plan = Plan.draw(self.chance, events)
        self.chaos = Chaos.draw(self.chance)
        self.partitions = self.chance.choice((1, 2, 3, 3, 4))
        self.brokers = Brokers(self.partitions)
        self.brokers.now = START_MS
        self.upstream = Upstream(self.chance, self.plan, self.partitions)
        self.faults: Counter[str] = Counter()
        self.troubles: list[str] = []
        """Crashes that were not injected, and what did not come to its end."""
        self.steps = 0
        self.workers = [self._new_worker(number) for number in range(self.chance.choice((1, 2, 3)))]
        self._owners: list[Worker | None] = [None] * self.partitions
        self._jumped_days = 0
        self._is_calm = False
        self._is_nested = False

    def run(self) -> None:
        """From the first event until everything that was sent is taken, whatever happened on the way."""
        for message in self.upstream.opening():
            self._send(message)
        for worker in self.workers:
            self._start(worker)
        if self.plan.strict or self.chance.random() < 0.5:
            self._take_all()
            self._is_calm = False
        while not self.upstream.is_done and not self.troubles:
            self._act()
        for _ in range(self.chance.randrange(60)):
            self._act()
        self._calm_down()

    # --- one thing at a time ------------------------------------------------------------------------------------

    def _act(self) -> None:
        """The next thing that happens, and who it happens to."""
        self.steps += 1
        chance, chaos = self.chance, self.chaos
        self._pass_time()
        if chance.random() < 0.45:
            self._upstream_sends()
        if chance.random() < chaos.compact:
            self.brokers.stream("credit.state", chance.randrange(self.partitions)).compact(chance.randrange(20_000))
            self.faults["changelog compacted"] += 1
        if chance.random() < chaos.crash:
            worker = chance.choice(self.workers)
            if worker.is_up:
                self._die(worker, "killed")
        if chance.random() < chaos.takeover and len(self.workers) > 1:
            self._move_partition(chance.randrange(self.partitions))
        self._supervise()
        running = [(worker, each) for worker in self.workers for each in worker.running.values()]
        if running:
            self._work(*chance.choice(running))

    def _pass_time(self) -> None:
        chance = self.chance
        if not self._is_calm and chance.random() < self.chaos.jump and self._jumped_days < JUMP_DAYS_MAX:
            days = chance.choice((0, 1, 1, 3, 10, 40))
            self._jumped_days += days
            self.brokers.now += days * DAY_MS + chance.randrange(DAY_MS // 3)
            self.faults["clock jumped"] += 1
        self.brokers.now += chance.choice((0, 0, 1, 20, 3_000))
        self.upstream.now = self.brokers.now

    def _upstream_sends(self) -> None:
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            if not self.upstream.is_done:
                for message in self.upstream.next():
                    self._send(message)

    def _send(self, message: Message) -> None:
        stamp = self.brokers.now + (self.chance.choice((0, 0, -2_000, 5)) if self.chaos.skew_ms else 0)
        self.brokers.send(message.topic, message.partition, stamp, message.key, message.value)

    def _work(self, worker: Worker, running: Running) -> None:
        """One task does one thing. Fenced or killed, its whole process ends."""
        chance = self.chance
        self._show(running)
        batch_max = running.batch_max
        try:
            choice = chance.random()
            if choice < 0.7:
                running.taken += running.task.take(chance.choice((1, 1, 2, 5, 20, 200)))
            elif choice < 0.85:
                instant = running.ticker.due()
                if instant is not None:
                    running.task.tick(instant)
                    running.taken += 1
            if running.task.is_dirty and (running.taken >= batch_max or choice > 0.9):
                self._checkpoint(running)
        except Crash as crash:
            self._die(worker, f"killed at {crash}")
        except Fenced:
            self._die(worker, "fenced")
        except Exception as error:
            self._fail(worker, error)

    def _checkpoint(self, running: Running) -> None:
        running.task.checkpoint()
        running.taken = 0

    def _show(self, running: Running) -> None:
        """Some of what has come becomes visible to the task, in each topic at its own pace."""
        chance, delay = self.chance, 0.0 if self._is_calm else self.chaos.delay
        for topic in INPUT_TOPICS:
            if running.log.unseen(topic) and chance.random() >= delay:
                running.log.show(topic, chance.choice((1, 3, 50)) if delay else 10**6)

    # --- what happens between two steps -------------------------------------------------------------------------

    def _reach(self, worker: Worker, partition: int, place: str) -> None:
        """A worker is at a place in its own code."""
        if self._is_calm or self._is_nested:
            return
        chance = self.chance
        if chance.random() < self.chaos.crash * 3:
            raise Crash(place)
        if chance.random() < self.chaos.interleave:
            self._is_nested = True
            try:
                self._meanwhile(worker, partition)
            finally:
                self._is_nested = False

    def _meanwhile(self, worker: Worker, partition: int) -> None:
        """The others go on; one of them may take the partition away."""
        chance = self.chance
        self.faults["interleaved"] += 1
        others = [other for other in self.workers if other is not worker and other.is_up]
        if others and chance.random() < self.chaos.takeover * 10:
            self.faults["taken over in a checkpoint"] += 1
            self._open(chance.choice(others), partition)
        for _ in range(chance.randrange(NESTED_MAX)):
            self._pass_time()
            if chance.random() < 0.3:
                self._upstream_sends()
            running = [(other, each) for other in others for each in other.running.values()]
            if running:
                self._work(*chance.choice(running))

    # --- workers ------------------------------------------------------------------------------------------------

    def _new_worker(self, number: int) -> Worker:
        skew = self.chance.randrange(-self.chaos.skew_ms, self.chaos.skew_ms + 1) if self.chaos.skew_ms else 0
        interval = self.chance.choice((1_000, 60_000, 900_000))
        return Worker(number, SimulatedClock(self.brokers, self.chance, skew, interval))

    def _supervise(self) -> None:
        """Workers that died are started again after a while, and partitions without a worker get one."""
        for worker in self.workers:
            if not worker.is_up and self.chance.random() < 0.2:
                self._befall(worker)
                self._start(worker)
        for partition, owner in enumerate(self._owners):
            up = [worker for worker in self.workers if worker.is_up]
            if owner is None and up and self.chance.random() < 0.5:
                self._open(self.chance.choice(up), partition)

    def _start(self, worker: Worker) -> None:
        worker.is_up = True
        for partition, owner in enumerate(self._owners):
            if owner is None and worker.is_up and self.chance.random() < 0.5:
                self._open(worker, partition)

    def _move_partition(self, partition: int) -> None:
        """A rebalance: in good order, or without the old owner knowing of it, who goes on as a zombie."""
        old = self._owners[partition]
        new = self.chance.choice([worker for worker in self.workers if worker is not old])
        if not new.is_up:
            return
        if old is not None and self.chance.random() < 0.5:
            self.faults["handed over"] += 1
            self._close(old, partition)
        else:
            self.faults["taken over"] += 1
        self._open(new, partition)

    def _close(self, worker: Worker, partition: int) -> None:
        running = worker.running.pop(partition, None)
        self._owners[partition] = None
        if running is None or not running.task.is_dirty:
            return
        try:
            running.task.checkpoint()
        except Crash as crash:
            self._die(worker, f"killed at {crash}")
        except Fenced:
            self._die(worker, "fenced")
        except Exception as error:
            self._fail(worker, error)

    def _open(self, worker: Worker, partition: int) -> None:
        """The worker has the partition from now on: whoever had it is fenced, its own disk is brought up to date."""
        chance = self.chance
        if not worker.is_up:
            return
        self._owners[partition] = worker
        worker.running.pop(partition, None)

        def reach(place: str) -> None:
            self._reach(worker, partition, place)

        store = worker.disk.setdefault(partition, SimulatedStore())
        store.reach = reach
        if chance.random() < 0.1:
            worker.old_disk[partition] = store.copy()
        log = SimulatedLog(self.brokers, partition, reach, chance, 0.0 if self._is_calm else self.chaos.stumble)
        try:
            task = self._new_task(worker, partition, log, store)
        except Crash as crash:
            self._die(worker, f"killed at {crash}")
        except Exception as error:
            self._fail(worker, error)
        else:
            log.begin_at(task.position.offsets)
            log.is_catching_up = chance.random() < 0.5
            batch_max = chance.choice((1, 3, 20, 100))
            worker.running[partition] = Running(task, log, Ticker(worker.clock), batch_max, 0, store)
            if self.brokers.is_owner(partition, log.epoch):
                self._compare_offsets(partition, task)

    def _new_task(self, worker: Worker, partition: int, log: SimulatedLog, store: SimulatedStore) -> PartitionTask:
        program = Program(read_event, core_step.step, encode_record)
        limits = BatchLimits(inputs_max=self.chance.choice((3, 50, 2_000)))
        rows_max = self.chance.choice(CACHED_ROWS)
        return PartitionTask(
            partition, log, store, program, worker.clock, limits,
            cached_rows_max=rows_max, partitions=self.partitions,
        )  # fmt: skip

    def _compare_offsets(self, partition: int, task: PartitionTask) -> None:
        """Where a task begins is where the group's committed offsets are: the one came from the changelog."""
        offsets = task.position.offsets
        for topic, offset in self.brokers.offsets[partition].items():
            if offsets.get(topic, 0) != offset:
                self.troubles.append(
                    f"partition {partition} begins {topic} at {offsets.get(topic, 0)}; committed was {offset}"
                )

    def _die(self, worker: Worker, how: str) -> None:
        self.faults[how] += 1
        worker.is_up = False
        worker.running.clear()
        self._owners = [None if owner is worker else owner for owner in self._owners]

    def _fail(self, worker: Worker, error: Exception) -> None:
        """A crash that nobody injected."""
        self.troubles.append(f"worker {worker.number} stopped: {type(error).__name__}: {error}")
        self._die(worker, "stopped by itself")

    def _befall(self, worker: Worker) -> None:
        """What becomes of a disk between two lives."""
        for partition in list(worker.disk):
            choice = self.chance.random()
            if choice < self.chaos.lose_disk / 2:
                del worker.disk[partition]
                worker.old_disk.pop(partition, None)
                self.faults["disk lost"] += 1
            elif choice > 1 - self.chaos.old_disk / 2 and partition in worker.old_disk:
                worker.disk[partition] = worker.old_disk[partition].copy()
                self.faults["disk came back old"] += 1

    # --- the end ------------------------------------------------------------------------------------------------

    def _calm_down(self) -> None:
        """The end: everything is taken, then every customer is looked at once more."""
        self._take_all()
        for message in self.upstream.closing():
            self._send(message)
        self._take_all()

    def _take_all(self) -> None:
        """Nothing goes wrong any more: every partition gets a worker, and everything is taken to its end."""
        self._is_calm = True
        for worker in self.workers:
            worker.is_up = True
            for partition in list(worker.running):
                if self._owners[partition] is not worker:
                    del worker.running[partition]
        for partition, owner in enumerate(self._owners):
            if owner is None or partition not in owner.running:
                self._open(self.chance.choice(self.workers), partition)
        for _ in range(DRAIN_ROUNDS_MAX):
            if self.troubles or not self._drain():
                return
        self.troubles.append(f"after {DRAIN_ROUNDS_MAX} rounds the tasks still have something to say to each other")

    def _drain(self) -> bool:
        """One round; whether somebody still did something."""
        active = False
        for partition, owner in enumerate(self._owners):
            if owner is None or partition not in owner.running:
                self.troubles.append(f"nobody has partition {partition} any more")
                return False
            active |= self._finish(owner, owner.running[partition])
        return active

    def _finish(self, worker: Worker, running: Running) -> bool:
        self._show(running)
        try:
            taken = running.task.take()
            if taken or running.task.is_dirty:
                running.task.checkpoint()
                return True
        except Exception as error:
            self._fail(worker, error)
        return False

    def stores(self) -> list[SimulatedStore]:
        """The store of each partition's last owner."""
        owners = self._owners
        return [owner.disk[partition] for partition, owner in enumerate(owners) if owner is not None]
