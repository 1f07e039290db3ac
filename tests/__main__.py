"""All tests, in two processes side by side: those with a real Kafka, which mostly wait, and all the others.

    python -m tests            what `make test` runs
    python -m tests -k groups  options go to both

The others go with a lower priority, so that brokers and workers get the processor when they want it. What they print is
shown when those with Kafka have ended. The exit status is 0 only if both have passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

KAFKA = "tests/kafka"
NICE = 5
NOTHING_CHOSEN = 5
"""pytest's exit status when options leave no test."""


def main(options: Sequence[str]) -> int:
    """Runs both; the exit status."""
    pytest = [sys.executable, "-m", "pytest"]
    with tempfile.TemporaryFile() as shown:
        others = subprocess.Popen(
            [*pytest, f"--ignore={KAFKA}", *options],
            stdout=shown,
            stderr=subprocess.STDOUT,
        )
        os.setpriority(os.PRIO_PROCESS, others.pid, NICE)
        try:
            print("with a real Kafka (all other tests run beside them and are shown afterwards)", flush=True)
            with_kafka = subprocess.call([*pytest, KAFKA, *options])
            print("all other tests", flush=True)
            status = others.wait()
        finally:
            others.kill()
        shown.seek(0)
        sys.stdout.buffer.write(shown.read())
        sys.stdout.flush()
    statuses = {with_kafka, status} - {0, NOTHING_CHOSEN}
    return min(statuses, default=0 if 0 in (with_kafka, status) else NOTHING_CHOSEN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
