"""Imports go one way: core, wire, engine, hosts, service, cli; and the core is pure (design sections 2 and 5)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "credit_stream"

MAY_IMPORT: dict[str, frozenset[str]] = {
    "core": frozenset(),
    "wire": frozenset({"core"}),
    "engine": frozenset({"core", "wire"}),
    "company": frozenset({"core"}),
    "local_kafka": frozenset(),
    "app": frozenset({"core", "wire", "engine", "hosts", "service"}),
    "hosts": frozenset({"core", "wire", "engine"}),
    "service": frozenset({"core", "wire", "engine", "hosts"}),
    "cli": frozenset({"core", "wire", "engine", "hosts", "company", "service", "local_kafka"}),
    "__main__": frozenset({"cli"}),
    "__init__": frozenset(),
}

PURE_LIBRARIES = frozenset(
    """__future__ abc bisect collections contextlib copy dataclasses datetime decimal difflib enum fractions functools
    hashlib heapq itertools json math msgspec operator re string textwrap types typing zoneinfo""".split()
)
IMPURE_CALLS = frozenset(
    "float open print input datetime.now datetime.today datetime.utcnow date.today id hash eval exec".split()
)


def files(folder: Path) -> list[Path]:
    """Every Python file of the folder, in one order."""
    return sorted(folder.rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of every module that the file imports, lazily imported ones too."""
    package = ("credit_stream", *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, *([node.module] if node.module else [])))
            # `from credit_stream import core` names a layer too.
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def layer_of(path: Path) -> str:
    """The folder right under `credit_stream`, or the file there."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def in_project(module: str) -> str | None:
    """The layer that a module name of the project lies in, None for a library."""
    parts = module.split(".")
    return parts[1] if parts[0] == "credit_stream" and len(parts) > 1 else None


def test_every_folder_of_the_package_has_its_place_among_the_layers() -> None:
    """A new layer is entered in MAY_IMPORT above, on purpose."""
    assert {layer_of(path) for path in files(PACKAGE)} <= set(MAY_IMPORT)


def test_imports_go_one_way() -> None:
    """No layer imports one above it."""
    faults = []
    for path in files(PACKAGE):
        layer = layer_of(path)
        for line, module in imports(path):
            other = in_project(module)
            if other is not None and other in MAY_IMPORT and other != layer and other not in MAY_IMPORT[layer]:
                faults.append(f"{path.relative_to(PACKAGE)}:{line} imports {module}")
    assert not faults


def test_the_core_imports_only_pure_libraries() -> None:
    """Design section 2: msgspec and the pure parts of the standard library."""
    faults = [
        f"{path.relative_to(PACKAGE)}:{line} imports {module}"
        for path in files(PACKAGE / "core")
        for line, module in imports(path)
        if in_project(module) is None and module.split(".")[0] not in PURE_LIBRARIES
    ]
    assert not faults


def impurities(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of whatever could make two runs differ: clocks, floats, async code, global state."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
            yield node.lineno, f"calls {ast.unparse(node.func)}"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield node.lineno, f"holds the float {node.value}"
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield node.lineno, "is asynchronous"
        if isinstance(node, ast.Global):
            yield node.lineno, f"has global state: {', '.join(node.names)}"


def test_the_core_has_no_clock_no_float_no_async_and_no_global_state() -> None:
    """The same inputs give the same bytes, always and everywhere."""
    faults = [
        f"{path.relative_to(PACKAGE)}:{line} {what}"
        for path in files(PACKAGE / "core")
        for line, what in impurities(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not faults


@pytest.mark.parametrize(
    "code", ["x = 0.1", "float(y)", "datetime.now()", "async def f(): ...", "def f():\n    global x", "print(1)"]
)
def test_the_purity_check_is_able_to_fail(code: str) -> None:
    """A check that finds nothing must be one that can find something."""
    assert list(impurities(ast.parse(code)))


def test_the_pure_libraries_are_not_imported_from_elsewhere() -> None:
    """Every name on the list is msgspec or the standard library's, so that nothing slips in under it."""
    assert PURE_LIBRARIES - {"msgspec"} <= sys.stdlib_module_names
