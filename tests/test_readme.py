"""What the README shows is what comes out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
PROGRAM = ".venv/bin/credit-stream"


def blocks() -> list[str]:
    """The blocks of the README that a reader would type in."""
    return CONSOLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))


def shown(block: str) -> str:
    """What a block says comes out: everything that is no command."""
    return "\n".join(line for line in block.split("\n") if not line.startswith("$ ")).strip("\n")


def put_out(block: str, folder: Path) -> str:
    """What its commands put out here, with the program of this environment."""
    script = "\n".join(line[2:] for line in block.split("\n") if line.startswith("$ "))
    script = script.replace(PROGRAM, f"{sys.executable} -m credit_stream").replace("docs/", f"{ROOT}/docs/")
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.split("\n")).strip("\n")


def test_the_held_and_the_released_order_of_the_readme_come_out_to_the_letter(tmp_path: Path) -> None:
    """The first two console blocks, run one after the other as a reader would."""
    held, released = blocks()[:2]
    assert "ON HOLD" in shown(held) and "RELEASED" in shown(released)
    assert put_out(held, tmp_path) == shown(held)
    assert put_out(released, tmp_path) == shown(released)


def test_every_page_that_the_readme_points_to_is_there() -> None:
    """Links to files of the project, pictures included."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)", text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
