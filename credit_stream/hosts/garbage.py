"""The garbage collector of a process that runs tasks.

Rows, records and events refer to each other in no cycles, so counting references frees them all. The collector would
only walk them: in a run of 20,000 events with the state in memory it took 23 of 85 us an event.
"""

from __future__ import annotations

import gc

YOUNG_OBJECTS_MAX = 200_000
"""New containers before the collector looks at the young ones. Cycles of libraries are still found, later."""


def leave_garbage_alone() -> None:
    """Keeps what is loaded out of the collector's sight, and lets it look seldom at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, 50, 100)
