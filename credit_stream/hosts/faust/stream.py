"""Faust's stream, with a `noack_take` that does not wait and does not acknowledge later."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import cast

import faust
from faust.types import ChannelT, EventT
from mode.utils.times import Seconds


class PromptStream(faust.Stream[bytes]):
    """As Faust's own towards the agents, which take batches of events with `noack_take`.

    Faust's `noack_take` wakes every stream once in `within`, whether there is anything or not: with ten streams and
    5 ms that took a tenth of a core for nothing, where this takes a hundredth, and every event waits for half of
    `within`. It also goes on reading in the background while its generator ends, and acknowledges what comes then.
    """

    async def noack_take(  # type: ignore[override] # Faust says that it yields values, and yields events
        self, max_: int, within: Seconds
    ) -> AsyncGenerator[Sequence[EventT[bytes]], None]:
        """Yields at once what has come, at most `max_` events, and waits only while there is nothing.

        `within` is the time that a batch may be waited for: no time at all here.
        """
        await self.maybe_start()
        queue = cast("ChannelT[bytes]", self.channel).queue
        sensors = self.app.sensors
        while not self.should_stop:
            try:
                batch = [await queue.get()]
            except StopAsyncIteration:
                return  # Faust throws it in to end an agent; out of a generator it would be a RuntimeError.
            while len(batch) < max_ and not queue.empty():
                batch.append(queue.get_nowait())
            self.events_total += len(batch)
            states = [sensors.on_stream_event_in(each.message.tp, each.message.offset, self, each) for each in batch]
            yield batch
            for event, state in zip(batch, states, strict=True):
                sensors.on_stream_event_out(event.message.tp, event.message.offset, self, event, state)
