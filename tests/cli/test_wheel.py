"""What is installed elsewhere is whole: the wheel has the schemas and the start page, and runs from them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    pytest.importorskip("hatchling", reason="hatchling is not installed, so no wheel can be built")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=120)
    return next(folder.glob("*.whl"))


def test_the_wheel_has_everything_that_the_program_reads_and_nothing_else(wheel: Path) -> None:
    """Every schema, those of earlier releases too, the start page, the marker of types; no tests, no benchmarks."""
    names = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "schemas"
    schemas = {f"credit_stream/schemas/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
    assert schemas <= names
    assert {"credit_stream/py.typed", "credit_stream/service/start.html"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"credit_stream"}


def test_the_program_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Far from the checkout: with the schemas that came with it."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "events.jsonl").write_text("rubbish\n")
    done = subprocess.run(
        [sys.executable, "-m", "credit_stream", "process", "events.jsonl"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert '"reason":"unreadable"' in done.stdout
    code = "import credit_stream, credit_stream.wire.schemas as s; print(credit_stream.__file__, s.schema_folder())"
    where = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert where.stdout.count(str(tmp_path / "site")) == 2
