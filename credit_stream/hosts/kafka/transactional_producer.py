"""One transactional producer of librdkafka's, which says when it does not get on instead of waiting for ever.

It does not always get on again by itself when brokers go and come back (2.16; measured on one broker that was restarted
and killed in turn, in 1 of 3 times):
- a broker that goes down answers once more, that there are no brokers. Librdkafka then forgets the one it had and, with
  `metadata.recovery.strategy=none`, never asks anybody again; with the default it mostly does;
- `send_offsets_to_transaction` waits for the coordinator of the group that was there, beyond any time limit, until some
  connection comes or goes (its issues 5511 and 5456).
A new producer always finds its way. So this one raises `NoProgress`, and is left behind for a new one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition

from credit_stream.hosts.kafka.admin import QUIET
from credit_stream.hosts.kafka.failures import catchable

CALL_SECONDS_MAX = 3.0
"""Of one call. Librdkafka hands the time on to its requests, and one that waits for a broker that is gone would wait
all of it. A call that timed out goes on inside; the same call again takes up its result."""
NO_PROGRESS_SECONDS = 5.0
"""So long a call is repeated, and at least once: a process that stood still hears first what the brokers say to it."""
AGAIN_SECONDS = 0.01
CLOSE_SECONDS_MAX = 3.0


class OutOfTime(Exception):
    """A call would go on after the deadline of its budget."""


class NoProgress(Exception):
    """The producer does not get on. What it was about is in doubt, and a new one must settle it."""


class Budget:
    """Seconds that several calls have together."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises `OutOfTime` when none are."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise OutOfTime
        return left


class TransactionalProducer:
    """See the module. One thread at a time; after `NoProgress` only `leave`.

    The methods that take a budget raise `OutOfTime` and `NoProgress`, and KafkaException for what no other try helps.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._producer = Producer(settings, logger=QUIET)
        self.begin = self._producer.begin_transaction
        self.produce = self._producer.produce
        self.poll = self._producer.poll
        self._is_left = False
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._results: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="credit-stream-transaction", daemon=True)
        self._thread.start()

    def fence(self, budget: Budget) -> None:
        """Fences whoever had the transactional id, and waits until what that one had committed is whole."""
        self._patiently(self._producer.init_transactions, budget)

    def flush(self, budget: Budget) -> None:
        """Waits until all that was produced has an answer."""
        left, tries, begun = len(self._producer), 0, time.monotonic()
        while left:
            now_left = self._producer.flush(min(budget.left(), CALL_SECONDS_MAX))
            if now_left < left:
                left, tries, begun = now_left, 0, time.monotonic()
                continue
            tries += 1
            _check_progress(tries, begun)

    def send_offsets(self, offsets: list[TopicPartition], group: Any, budget: Budget) -> None:
        """Makes the offsets of the group part of the transaction."""
        self._patiently(self._send_offsets, budget, offsets, group)

    def commit(self, budget: Budget) -> None:
        """Ends the transaction; it is whole when this returns, and in doubt when this raises."""
        self._patiently(self._producer.commit_transaction, budget)

    def abort(self, budget: Budget) -> None:
        """What was begun becomes invisible. Here a producer learns that it was fenced if the brokers have ended its
        transaction before."""
        self._patiently(self._producer.abort_transaction, budget)

    def leave(self, seconds_max: float = CLOSE_SECONDS_MAX) -> None:
        """Lets go of the connections. An open transaction is left to whoever comes next.

        Closing waits for the brokers without a bound, and they may be gone (a worker hung there for ever, seen); a call
        that does not return comes before it. So it is left behind after a while, to end by itself or with the process.
        """
        if not self._is_left:
            self._is_left = True
            self._producer.purge(blocking=False)
            self._calls.put(None)
        self._thread.join(seconds_max)

    def _patiently(self, call: Callable[..., object], budget: Budget, *args: object) -> None:
        """Calls until it is through, as long as Kafka says that another try may help."""
        tries, begun = 0, time.monotonic()
        while True:
            try:
                call(*args, min(budget.left(), CALL_SECONDS_MAX))
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            tries += 1
            _check_progress(tries, begun)
            time.sleep(AGAIN_SECONDS)

    def _send_offsets(self, offsets: list[TopicPartition], group: Any, seconds: float) -> None:
        """In the thread, where it can be left behind."""
        self._calls.put(lambda: self._producer.send_offsets_to_transaction(offsets, group, seconds))
        tries, begun = 0, time.monotonic()
        while True:
            try:
                error = self._results.get(timeout=CALL_SECONDS_MAX)
                break
            except Empty:
                tries += 1
                _check_progress(tries, begun)
        if error is not None:
            raise error

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                with catchable():
                    call()
            except BaseException as error:
                self._results.put(error)
            else:
                self._results.put(None)
        # That a producer was fenced is said once more here, where nobody wants to know.
        with suppress(KafkaException), catchable():
            self._producer.close()


def _check_progress(tries: int, begun: float) -> None:
    if tries > 1 and time.monotonic() - begun > NO_PROGRESS_SECONDS:
        raise NoProgress
