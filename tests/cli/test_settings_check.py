"""`credit-stream settings check` finds every fault of a file and says where it is."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from credit_stream.cli.commands import credit_stream

GOOD = """
[parameters]
business_time_zone = "Europe/Berlin"

[[rules]]
id = "limit"
type = "credit_limit_used"
"""


def check(folder: Path, text: str | bytes, *options: str) -> Result:
    """Runs the check on a file with this text."""
    file = folder / "credit.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CliRunner().invoke(credit_stream, ["settings", "check", str(file), *options])


def test_good_settings_have_no_faults(tmp_path: Path) -> None:
    """Exit status 0."""
    result = check(tmp_path, GOOD)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith("credit.toml: no faults\n")


def test_every_fault_is_listed_with_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    """Not only the first: all of them can be mended at once."""
    result = check(tmp_path, '[parameters]\nexposure_scop = "balance"\n[[rules]]\nid = "a"\nkind = "blokking"\n')
    assert result.exit_code == 2
    assert "parameters.exposure_scop: is unknown; did you mean 'exposure_scope'?" in result.stdout
    assert "rules[0].kind: " in result.stdout
    assert "rules[0].type: is missing" in result.stdout


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    """The place that an editor can jump to."""
    result = check(tmp_path, "[parameters]\nheld_orders_consume_credit = maybe\n")
    assert result.exit_code == 2
    assert "syntax: is no TOML" in result.stdout
    assert "line 2" in result.stdout


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Binary rubbish is a fault like others, not a traceback."""
    result = check(tmp_path, b"\xff\xfe\x00")
    assert result.exit_code == 2
    assert "is not UTF-8" in result.stdout


def test_a_date_or_a_float_in_the_file_is_a_fault(tmp_path: Path) -> None:
    """TOML knows more types than settings do."""
    result = check(tmp_path, '[[rules]]\nid = 2026-01-01\ntype = "order_amount"\namount = 0.5\n')
    assert result.exit_code == 2
    assert "rules[0].id" in result.stdout
    assert "rules[0].amount" in result.stdout


def test_a_missing_file_is_wrong_usage() -> None:
    """Exit status 2 with the name."""
    result = CliRunner().invoke(credit_stream, ["settings", "check", "nowhere.toml"])
    assert result.exit_code == 2
    assert "nowhere.toml" in result.stderr


def test_faults_come_as_json_for_programs(tmp_path: Path) -> None:
    """`--json` where something is printed."""
    result = check(tmp_path, '[parameters]\nx = 1\n[[actors]]\nid = "ana"\n', "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 2
    assert found["ok"] is False
    assert found["faults"][0]["place"] == "parameters.x"
