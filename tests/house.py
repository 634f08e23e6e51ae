"""Counts what a house that grows is to have little of, and prints the table: python tests/house.py [--where].

files      of the package with more lines than fit in a head
functions  that do not fit on a screen
circles    of modules that import one another, also inside functions
rows       of METHODS that are named in a string outside methods.py, where a row is data
getattr    with a default, and hasattr, on what is ours and has a contract that declares it
except     AttributeError, which asks the same question
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "transreward"
LONG_FILE, LONG_FUNCTION = 450, 50
# Whose objects these files ask: other libraries', which declare nothing to us.
FOREIGN = {
    "domains/layers.py": "Gymnasium's wrappers",
    "domains/gym.py": "Gymnasium's environments",
    "domains/tasks.py": "a module of the user's",
    "reports/export.py": "JAX's programs",
}
TABLES = ("methods.py", "types.py")  # where rows are data, and those that others have to know of have a name


@cache
def files() -> dict[str, ast.Module]:
    """Path in the package -> its syntax tree."""
    return {str(p.relative_to(PACKAGE)): ast.parse(p.read_text()) for p in sorted(PACKAGE.rglob("*.py"))}


def long_files() -> list[str]:
    """Files above LONG_FILE lines."""
    lengths = {name: len((PACKAGE / name).read_text().splitlines()) for name in files()}
    return [f"{name}: {n} lines" for name, n in lengths.items() if n > LONG_FILE]


def long_functions() -> list[str]:
    """Functions above LONG_FUNCTION lines, from `def` to their end."""
    found = []
    for name, tree in files().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n = (node.end_lineno or 0) - node.lineno + 1
                found += [f"{name}:{node.lineno} {node.name}: {n} lines"] if n > LONG_FUNCTION else []
    return found


def circles() -> list[str]:
    """Sets of modules each of which is reached from each other by imports."""
    trees = files()
    modules = {"transreward." + name.removesuffix(".py").replace("/", "."): name for name in trees}
    modules = {module.removesuffix(".__init__"): name for module, name in modules.items()}

    def imported(tree: ast.Module) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {m if (m := f"{node.module}.{a.name}") in modules else node.module for a in node.names}
        return found & set(modules)

    arrows = {module: imported(trees[name]) for module, name in modules.items()}
    reached = {module: _reached(module, arrows) for module in modules}
    found = {frozenset({b for b in reached[a] if a in reached[b]} | {a}) for a in modules if a in reached[a]}
    return sorted(" <-> ".join(sorted(circle)) for circle in found)


def _reached(start: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = arrows[todo.pop()] - found
        found |= new
        todo += new
    return found


def named_rows() -> list[str]:
    """Strings outside methods.py that are the name of a row, or have one with an underscore in it; names that are a
    gap's, a use's or a learner's, or a word of `loop.symmetry`, too, are theirs."""
    from transreward.gaps import GAPS
    from transreward.learners import LEARNERS
    from transreward.methods import METHODS
    from transreward.request.loop import Loop
    from transreward.uses import USES

    names = set(METHODS) - set(GAPS) - set(USES) - set(LEARNERS) - {Loop.symmetry}
    inside = re.compile(rf"\b({'|'.join(sorted(name for name in names if '_' in name))})\b")
    found = []
    for file, tree in files().items():
        if file in TABLES:
            continue
        said = _docstrings(tree) | (_help(tree) if file.startswith("cli/") else set())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
                rows = [node.value] if node.value in names else inside.findall(node.value)
                found += [f"{file}:{node.lineno} {row}" for row in rows]
    return found


def _help(tree: ast.Module) -> set[int]:
    """What --help prints, which is documentation."""
    texts = [n.value for n in tree.body if isinstance(n, ast.Assign)]
    return {id(part) for text in texts for part in ast.walk(text)}


def _docstrings(tree: ast.Module) -> set[int]:
    parts = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, parts) and node.body]
    return {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}


def asked_for() -> list[str]:
    """getattr with a default, and hasattr, but for those on other libraries' objects."""
    return list(_asked_for())


def _asked_for() -> Iterator[str]:
    for file, tree in files().items():
        for node in ast.walk(tree):
            if file in FOREIGN or not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3):
                yield f"{file}:{node.lineno} {ast.unparse(node)}"


def caught() -> list[str]:
    """Handlers of AttributeError, but for those of other libraries' objects."""
    found = []
    for file, tree in files().items():
        for node in ast.walk(tree):
            kinds = ast.unparse(node.type) if isinstance(node, ast.ExceptHandler) and node.type else ""
            if file not in FOREIGN and "AttributeError" in kinds:
                found.append(f"{file}:{node.lineno} except {kinds}")
    return found


COUNTS = {
    "files": long_files,
    "functions": long_functions,
    "circles": circles,
    "rows": named_rows,
    "getattr": asked_for,
    "except": caught,
}


def main() -> None:
    """Print the table, and with --where each place."""
    for name, count in COUNTS.items():
        found = count()
        print(f"{name:10} {len(found):4}")
        if "--where" in sys.argv:
            print("".join(f"    {place}\n" for place in found), end="")


if __name__ == "__main__":
    main()
