"""The page that tells a stranger how to add a rule: its own example, done as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """
import json, sys
from credit_stream.core import rules, reasons, settings
from credit_stream.hosts.memory import MemoryHost

document = {"rules": [{"id": "fresh", "type": "not_reviewed", "amount": "500"}]}
host = MemoryHost(settings_document=json.dumps(document))
head = {"occurred_at": "2026-03-02T09:00:00Z", "customer_id": "C1"}
lines = [
    {"type": "CustomerUpdated", "event_id": "1", "credit_currency": "EUR", "credit_limit": "10000", **head},
    {"type": "OrderPlaced", "event_id": "2", "order_id": "O1", "amount": "500", "currency": "EUR", **head},
    {"type": "OrderPlaced", "event_id": "3", "order_id": "O2", "amount": "500.01", "currency": "EUR", **head},
]
for line in lines:
    for topic, _, record in host.process(json.dumps(line).encode()):
        if topic == "credit.decisions":
            print(record.order_id, record.verdict, *record.reasons)
"""


def test_the_rule_of_the_page_works_with_one_function_and_one_row(tmp_path: Path) -> None:
    """A copy of the package with the page's two code blocks put into `rules.py` holds what the page says it holds."""
    function, row = re.findall(r"```python\n(.*?)```", (ROOT / "docs/add-a-rule.md").read_text("utf-8"), re.DOTALL)
    package = tmp_path / "credit_stream"
    subprocess.run(["cp", "-r", str(ROOT / "credit_stream"), str(package)], check=True)
    subprocess.run(["cp", "-r", str(ROOT / "schemas"), str(tmp_path / "schemas")], check=True)
    rules = package / "core" / "rules.py"
    table = "RULES: tuple[RuleType, ...] = (\n"
    before, _, after = rules.read_text("utf-8").partition(table)
    rules.write_text(f"{before}{function}\n\n{table}{row}{after}", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == ["O1 released", "O2 on_hold not_reviewed"], done.stderr
