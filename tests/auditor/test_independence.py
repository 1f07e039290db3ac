"""The auditor shares nothing with what it audits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
MODEL = ("auditor", "world", "evaluation", "checks", "records", "partition", "handlers", "orders", "receivables",
         "customers", "groups", "reference", "commands", "journals", "judge", "rules", "facts", "books", "forms",
         "rulebook", "money", "pool", "membership", "histories")  # fmt: skip
"""The modules of the second model and its histories; `driving` and the tests bring the product to it."""


def imported(name: str) -> Iterator[str]:
    """Full names of what a module imports, wherever in it."""
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports would hide where they lead"
            folder = node.module == "tests.auditor"
            yield from (f"{node.module}.{alias.name}" if folder else str(node.module) for alias in node.names)


def test_the_second_model_imports_nothing_of_the_product() -> None:
    """Neither the package nor a test module beside the auditor's own, directly or through one another."""
    for name in MODEL:
        for module in imported(name):
            assert not module.startswith("credit_stream"), f"{name} imports {module}"
            own = module.removeprefix("tests.auditor.")
            assert not module.startswith("tests.") or own in MODEL, f"{name} imports {module}"


def test_every_module_of_the_folder_is_the_model_or_a_test_of_it() -> None:
    """A new module has to say on which side it stands."""
    others = {path.stem for path in FOLDER.glob("*.py")} - set(MODEL)
    assert others == {"driving"} | {name for name in others if name.startswith("test_")}
