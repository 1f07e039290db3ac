"""The Java packages that a local Kafka is made of: fetched once, checked, kept in a cache directory.

Beside this file lies one list for each set of packages, a line for each with its SHA-256 and its Maven coordinates.
A package is taken from the machine's Maven repository directory, or fetched by jgo from the repositories that jgo's own
configuration names, or by Maven as its own settings say; what does not have the listed sum is refused.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape

from msgspec import Struct

from credit_stream.local_kafka.failures import LocalKafkaUnavailable

CACHE_VARIABLE = "CREDIT_STREAM_CACHE"
KAFKA = "kafka-4.1.0"
REGISTRY = "apicurio-registry-2.5.11"
FETCH_SECONDS_MAX = 900
"""For all packages of a list by Maven; jgo has a limit for each read from the network instead."""
READ_SECONDS_MAX = 30

_LISTS = Path(__file__).parent
_log = logging.getLogger(__name__)


class Package(Struct, frozen=True):
    """One file of a Maven repository, by its coordinates, and the SHA-256 that it must have."""

    sha256: str
    group: str
    artifact: str
    version: str
    packaging: str = "jar"
    classifier: str = ""

    @property
    def file_name(self) -> str:
        """Its name in a Maven repository and in our cache."""
        classifier = f"-{self.classifier}" if self.classifier else ""
        return f"{self.artifact}-{self.version}{classifier}.{self.packaging}"


def cache_directory() -> Path:
    """Where fetched packages are kept: CREDIT_STREAM_CACHE, else the user's cache directory."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    user = os.environ.get("XDG_CACHE_HOME")
    return (Path(user) if user else Path.home() / ".cache") / "credit-stream"


def note_in_log(sentence: str) -> None:
    """Where sentences about fetching go by default."""
    _log.info("%s", sentence)


def kafka_class_path(say: Callable[[str], None] = note_in_log) -> str:
    """The jars of Kafka as Java takes them. `say` gets a sentence before anything is fetched."""
    folder = _kept(KAFKA, say)
    return os.pathsep.join(str(folder / package.file_name) for package in _listed(KAFKA))


def registry_jar(say: Callable[[str], None] = note_in_log) -> Path:
    """The registry's jar, with its libraries beside it."""
    return next(_kept(REGISTRY, say).glob("*-runner.jar"))


def _listed(name: str) -> list[Package]:
    lines = (_LISTS / f"{name}.sha256").read_text(encoding="ascii").splitlines()
    return [Package(sha256, *coordinates.split(":")) for sha256, coordinates in (line.split() for line in lines)]


def _kept(name: str, say: Callable[[str], None]) -> Path:
    """The folder with the packages of a list, filled if it is not there yet.

    It is filled beside its place and then moved there, so that it is whole whenever it is there. Of several processes
    one fills it and the others wait.
    """
    folder = cache_directory() / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(folder.parent / f"{name}.lock"):
            if not folder.is_dir():
                _fill(folder, _listed(name), say)
    except OSError as error:
        raise LocalKafkaUnavailable(
            f"the packages of {name} cannot be kept in {folder.parent}: {error}. "
            f"Name a directory that can be written in {CACHE_VARIABLE}."
        ) from error
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """A lock that the operating system takes away when the process ends, however it ends."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fill(folder: Path, packages: Sequence[Package], say: Callable[[str], None]) -> None:
    # Whoever was killed here before left its unfinished folder; the lock says that nobody else is at work.
    for left in folder.parent.glob(f"{folder.name}.unfinished-*"):
        shutil.rmtree(left, ignore_errors=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.unfinished-", dir=folder.parent))
    try:
        content = unfinished / "content"
        content.mkdir()
        say(f"Fetching {folder.name} into {folder.parent}, once on this machine")
        _fetch(packages, content, unfinished / "maven")
        for package in packages:
            _check(package, content / package.file_name)
        for archive in content.glob("*.tar.gz"):
            _unpack(archive)
        content.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fetch(packages: Sequence[Package], content: Path, scratch: Path) -> None:
    """By jgo, and where that cannot by Maven: each knows of repositories and proxies that the other does not."""
    faults = []
    for fetch in (_fetch_by_jgo, _fetch_by_maven):
        try:
            fetch(packages, content, scratch)
        except LocalKafkaUnavailable as error:
            faults.append(str(error))
        else:
            return
    raise LocalKafkaUnavailable("the Java packages cannot be fetched: " + "; ".join(faults))


def _fetch_by_jgo(packages: Sequence[Package], content: Path, scratch: Path) -> None:
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL, default_maven_repo
        from jgo.maven import MavenContext
    except ImportError as error:
        raise LocalKafkaUnavailable("jgo is not installed (pip install 'credit-stream[local-kafka]')") from error
    # jgo writes a file in its place while it comes in; killed meanwhile it would take half a jar for a whole one ever
    # after. So it only reads from the machine's Maven repository, and writes to a directory that is thrown away.
    context = MavenContext(
        repo_cache=scratch,
        local_repos=[default_maven_repo()],
        remote_repos={"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories},
        timeout=READ_SECONDS_MAX,
    )
    for package in packages:
        component = context.project(package.group, package.artifact).at_version(package.version)
        try:
            found = component.artifact(package.classifier, package.packaging).resolve()
        except (RuntimeError, OSError) as error:
            raise LocalKafkaUnavailable(f"jgo: {package.file_name}: {error}") from error
        shutil.copyfile(found, content / package.file_name)


def _fetch_by_maven(packages: Sequence[Package], content: Path, scratch: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalKafkaUnavailable("Maven (mvn) is not installed")
    scratch.mkdir(exist_ok=True)
    (scratch / "pom.xml").write_text(_project(packages), encoding="utf-8")
    command = [maven, "--batch-mode", "--quiet", "dependency:copy-dependencies", f"-DoutputDirectory={content}"]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, timeout=FETCH_SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LocalKafkaUnavailable(f"Maven did not end within {FETCH_SECONDS_MAX} s") from error
    if done.returncode:
        raise LocalKafkaUnavailable(f"Maven: {(done.stdout + done.stderr).strip()[-1000:]}")


def _project(packages: Sequence[Package]) -> str:
    """A Maven project that depends on the packages and on nothing that they depend on: the list is complete."""
    dependencies = "".join(
        "<dependency>"
        f"<groupId>{escape(package.group)}</groupId><artifactId>{escape(package.artifact)}</artifactId>"
        f"<version>{escape(package.version)}</version><type>{escape(package.packaging)}</type>"
        + (f"<classifier>{escape(package.classifier)}</classifier>" if package.classifier else "")
        + "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
        "</dependency>"
        for package in packages
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>credit-stream</groupId><artifactId>local-kafka</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )


def _check(package: Package, file: Path) -> None:
    if not file.is_file():
        raise LocalKafkaUnavailable(f"{file.name} was not fetched, though nothing was reported. Try again.")
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != package.sha256:
        raise LocalKafkaUnavailable(
            f"{file.name} has the SHA-256 {found} and not {package.sha256}: it came damaged or was changed. "
            "Delete it from the Maven repository directory of this machine (usually ~/.m2/repository) and try again."
        )


def _unpack(archive: Path) -> None:
    with tarfile.open(archive) as opened:
        # The first releases of Python 3.11 have no filters; what is unpacked has the listed sum, with or without.
        opened.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        opened.extractall(archive.parent)
    archive.unlink()
