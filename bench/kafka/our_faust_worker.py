"""A worker of ours under Faust: `python -m bench.kafka.our_faust_worker CORE worker -l warn`.

The environment says the rest.

It is `faust -A credit_stream.app worker`, but that a task may run another core than the credit decisions.
"""

from __future__ import annotations

import sys
from functools import partial

from bench.kafka.our_programs import PROGRAMS, are_ticking
from credit_stream.hosts.faust import application
from credit_stream.hosts.kafka import worker

if __name__ == "__main__":
    core = sys.argv.pop(1)
    application.begin = partial(worker.begin, program=PROGRAMS[core], ticking=are_ticking())  # type: ignore[attr-defined]
    from credit_stream.app import app

    app.main()
