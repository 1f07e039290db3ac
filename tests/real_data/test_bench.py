"""The benchmark over the real files: the same hash every time, and errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.real_data import main
from tests.real_data.tables import DATA, highradius_open


@pytest.mark.skipif(not DATA.is_dir(), reason="the real data does not lie in `shared/data` beside the repository")
def test_two_runs_over_a_real_file_give_the_same_hash_and_the_totals_of_the_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every output, byte for byte; and all of the open file is owed at its end."""
    results = []
    for _ in range(2):
        assert main(["highradius-open", "--json"]) == 0
        results.append(json.loads(capsys.readouterr().out)[0])
    first, second = results
    assert first["sha256"] == second["sha256"]
    owed = sum(totals["exposure"] for totals in first["totals_minor"].values())
    assert owed == sum(row.amount_minor for row in highradius_open())


def test_a_folder_that_is_not_there_and_an_unknown_file_are_said_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2: wrong usage."""
    assert main(["--data", str(tmp_path / "none")]) == 2
    assert "--data" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:
        main(["ibn"])
    assert stopped.value.code == 2
    assert "highradius-open" in capsys.readouterr().err
