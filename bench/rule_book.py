"""What rules, exclusions and credit groups cost an event: the same company in memory, with one rule and with many.

    python -m bench.rule_book [--events N] [--customers N] [--repeat N]

Rows take turns, so that what else the machine does falls on all of them; times are processor seconds of the process, of
which the best of the repeats counts, and ratios are to the first row. The hash is over topic, key and bytes of all that
came out. It is another in each row, for their decisions are others, and the same in each repeat.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json

from msgspec.structs import replace

from bench.pipeline import in_memory
from credit_stream.company import Plan, events
from credit_stream.core.events import Event, SettingsPublished
from credit_stream.hosts.garbage import leave_garbage_alone
from credit_stream.wire.avro import encode_event
from tests.simulation.rule_books import EXCLUSIONS, LIMIT_RULE, OTHER_RULES

ONE_RULE = json.dumps({"rules": [LIMIT_RULE]})
ALL_RULES = json.dumps({"rules": [LIMIT_RULE, *OTHER_RULES, *EXCLUSIONS]})


def payloads(options: argparse.Namespace, document: str | None, *, groups: bool = False) -> list[bytes]:
    """The company's first events as bytes, with another document of settings if one is given."""
    taken = itertools.islice(events(Plan(seed=1, customers=options.customers, groups=groups)), options.events)
    return [encode_event(_with(event, document)) for event in taken]


def _with(event: Event, document: str | None) -> Event:
    if document is None or not isinstance(event, SettingsPublished):
        return event
    return replace(event, document=document)


def main() -> None:
    """Runs all rows and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--customers", type=int, default=400)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    leave_garbage_alone()
    rows = {
        "the limit alone": payloads(options, ONE_RULE),
        "the company's rules": payloads(options, None),
        "every rule and exclusion": payloads(options, ALL_RULES),
        "the company with credit groups": payloads(options, None, groups=True),
        "groups, every rule and exclusion": payloads(options, ALL_RULES, groups=True),
    }
    found: dict[str, list[tuple[float, str]]] = {name: [] for name in rows}
    for _ in range(options.repeat):
        for name, taken in rows.items():
            gc.collect()
            found[name].append(in_memory(taken))
    base = min(found["the limit alone"])[0] / len(rows["the limit alone"])
    for name, outcomes in found.items():
        assert len({digest for _, digest in outcomes}) == 1, "the same inputs gave different outputs"
        seconds, digest = min(outcomes)
        each = seconds / len(rows[name])
        print(f"{name:34}{each * 1e6:7.1f} us an event {each / base:6.2f}  hash {digest}")


if __name__ == "__main__":
    main()
