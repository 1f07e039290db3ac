"""Stands where Kafka's own `kafka-acls.sh` would, for the scripts in `deploy/acls/`: the jars of the tests lack it.

What a script calls it with is written down, read back as Kafka's program reads it, refused where that would refuse it,
and granted on the broker.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

SECONDS_MAX = 30.0
ALLOWED = {
    ResourceType.TOPIC: {"Read", "Write", "Create", "Describe", "DescribeConfigs", "AlterConfigs"},
    ResourceType.GROUP: {"Read", "Describe"},
    ResourceType.TRANSACTIONAL_ID: {"Write", "Describe"},
}
"""Operations that a resource has."""


def program(shell: str, record: Path) -> str:
    """The text of a program that only writes down with what it was called, a line for each call."""
    return f'#!{shell}\necho "$@" >> {record}\n'


def grant(record: Path) -> None:
    """Grants what the calls on record say."""
    by_address: dict[str, list[AclBinding]] = defaultdict(list)
    for line in record.read_text(encoding="utf-8").splitlines():
        given = arguments(line.split())
        by_address[given.bootstrap_server] += bindings(given)
    for address, wanted in by_address.items():
        admin = AdminClient({"bootstrap.servers": address})
        for made in admin.create_acls(wanted).values():
            made.result(timeout=SECONDS_MAX)
        _wait_until_in_force(admin, wanted)


def _wait_until_in_force(admin: AdminClient, wanted: list[AclBinding]) -> None:
    """The controller answers first; that the broker goes by it comes some milliseconds later."""
    deadline = time.monotonic() + SECONDS_MAX
    anything = (ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY)
    while not set(wanted) <= set(admin.describe_acls(AclBindingFilter(*anything)).result(timeout=SECONDS_MAX)):
        assert time.monotonic() < deadline, "the broker does not go by what was granted"
        time.sleep(0.02)


def bindings(given: argparse.Namespace) -> list[AclBinding]:
    """The rights that one call means."""
    resources = [
        *((ResourceType.TOPIC, name) for name in given.topic),
        *((ResourceType.GROUP, name) for name in given.group),
        *((ResourceType.TRANSACTIONAL_ID, name) for name in given.transactional_id),
    ]
    pattern = ResourcePatternType[given.resource_pattern_type.upper()]
    found = [
        binding(kind, name, pattern, given.allow_principal, operation)
        for kind, name in resources
        for operation in given.operation
    ]
    assert found, "nothing is granted"
    return found


def arguments(words: list[str]) -> argparse.Namespace:
    """As `kafka-acls.sh` has them; no abbreviations."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    for name in ("--operation", "--topic", "--group", "--transactional-id"):
        parser.add_argument(name, action="append", default=[])
    return parser.parse_args(words)


def binding(kind: ResourceType, name: str, pattern: ResourcePatternType, principal: str, operation: str) -> AclBinding:
    """One right."""
    assert operation in ALLOWED[kind], f"{kind} has no {operation}"
    words = {"DescribeConfigs": "DESCRIBE_CONFIGS", "AlterConfigs": "ALTER_CONFIGS"}
    found = AclOperation[words.get(operation, operation.upper())]
    return AclBinding(kind, name, pattern, principal, "*", found, AclPermissionType.ALLOW)
