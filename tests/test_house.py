"""The rules of the house: who may import whom, what importing costs, and that every public name is there."""

from __future__ import annotations

import argparse
import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import house
import pytest

import transreward
from transreward.cli.main import parser
from transreward.cli.options import NAMED, OPTIONS

ROOT = Path(transreward.__file__).parent
# Lower first. A part imports itself and what stands lower, never what stands beside it or higher.
LAYERS = [
    {"types", "interruption"},
    {"networks", "replay", "draws", "feed", "randomise", "ground", "fallback", "watchdog", "plain", "tree"},
    {"bridges", "claims"},
    {"domains", "gaps", "gates", "learners"},
    {"uses"},
    {"row"},
    {"cells"},
    {"streams", "methods", "presets"},
    {"evaluation", "wrapper"},
    {"runs"},
    {"identify"},
    {"request"},
    {"reports"},
    {"plan"},
    {"engine"},
    {"progress"},
    {"transfer", "preflight", "policies"},
    {"compare", "rehearsal"},
    {"live", "doctor", "session"},
    {"workers"},
    {"study"},
    {"cli"},
    {"__main__"},
]
# A result writes its own page: `result.report(path)`. Nothing else may look up, and this only where it is called.
UPWARDS = {"runs/shown.py": "reports", "runs/records.py": "reports"}
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def part(path: Path) -> str:
    """A package below transreward or one of its modules."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Full names of all modules a file imports, also those inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_who_may_import_whom(path):
    own = part(path)
    assert own in HEIGHT, f"say in LAYERS and in CONTRIBUTING.md where '{own}' stands"
    others = {name.split(".")[1] for name in imported(path) if name.startswith("transreward.")} & set(HEIGHT) - {own}
    others -= {UPWARDS.get(str(path.relative_to(ROOT)))}
    wrong = sorted(other for other in others if HEIGHT[other] >= HEIGHT[own])
    assert not wrong, f"{own} must not import {', '.join(wrong)}"


@pytest.mark.parametrize(("own", "more"), [("domains", {"bridges", "plain", "tree", "interruption"}), ("gates", set())])
def test_the_leaves_need_only_the_words(own, more):
    """A domain knows nothing of learning, a compensation nothing of how a gap is estimated."""
    used = {
        name.split(".")[1] for path in FILES if part(path) == own for name in imported(path) if "transreward." in name
    }
    assert used <= {own, "types", *more}


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_what_others_take_from_the_package_is_there(folder):
    """Benchmarks and examples are run by hand, so a name that moved would not show."""
    for path in sorted((ROOT.parent / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "transreward":
                module = importlib.import_module(node.module)
                for name in (alias.name for alias in node.names):
                    if not hasattr(module, name):
                        importlib.import_module(f"{node.module}.{name}")


def test_only_the_command_line_parses_arguments():
    assert {part(path) for path in FILES if "argparse" in imported(path)} == {"cli"}


def test_only_the_command_line_names_its_options():
    """An error names a field of the request in Python's words, which the command line renders."""
    said = []
    for path in FILES:
        if part(path) == "cli" or path.name == "card.py":  # a card prints a command
            continue
        tree = ast.parse(path.read_text())
        parts = [node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
        docs = {ast.get_docstring(node, clean=False) for node in parts}
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        said += [(path.name, t) for t in texts if t not in docs and re.search(r"(^|\W)--[a-z].* |\s--[a-z]", t)]
    assert not said


def test_each_option_that_an_error_names_is_written_as_one():
    """All but these: `imports` is typed as --import, and what a session's calls take is no option of its command."""
    (commands,) = (a.choices for a in parser()._actions if isinstance(a, argparse._SubParsersAction))
    typed = {a.dest for one in commands.values() for a in one._actions if any(o[:2] == "--" for o in a.option_strings)}
    left, named = typed - OPTIONS, set()
    for text in (path.read_text() for path in FILES):
        if left & {name for name, _ in NAMED.findall(text)}:
            nodes = list(ast.walk(ast.parse(text)))
            docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
            said = [n.value for n in nodes if isinstance(n, ast.Constant) and id(n) not in docs]
            named |= left & {name for one in said if isinstance(one, str) for name, _ in NAMED.findall(one)}
    assert named == {"imports", "robot", "seconds"}


def test_domains_do_not_need_jax():
    files = [path for path in FILES if part(path) in ("domains", "types", "bridges") and path.stem != "take_up"]
    assert not [name for path in files for name in imported(path) if name.split(".")[0] in ("jax", "optax")]


def test_no_vague_names():
    assert not [path for path in FILES if path.stem in ("utils", "util", "helpers", "common", "misc")]
    classes = [
        node for path in FILES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)
    ]
    assert not [c.name for c in classes if c.name.endswith(("Manager", "Handler", "Factory", "Helper"))]


def test_import_is_free_of_jax():
    code = "import sys, transreward, transreward.cli; transreward.cli.parser(); print('jax' in sys.modules)"
    assert run("-c", code).stdout.strip() == "False"


def test_public_names_resolve():
    """Also once the submodules of the same names (transfer, methods) have been imported."""
    code = """
import transreward as tr, types
for time in (1, 2):
    for name in tr.__all__:
        found = getattr(tr, name)
        assert not isinstance(found, types.ModuleType), f"tr.{name} is a module the {time}. time"
assert set(tr.__all__) < set(dir(tr))
"""
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "domains.domain.Domain", "domains.names.action_entries", "domains.robots.ROBOTS", "domains.robots.Robot",
        "domains.robots.View", "evaluation.returns.evaluate", "runs.records.write_report", "runs.store.claim",
    ],
)  # fmt: skip
def test_names_that_scripts_import(name):
    """Beside the public ones: robots of one's own need some, and scripts that were written earlier the others."""
    module, _, own = name.rpartition(".")
    assert hasattr(importlib.import_module(f"transreward.{module}"), own)


def test_unknown_public_name():
    with pytest.raises(AttributeError, match="no attribute 'tranfer'"):
        _ = transreward.tranfer


def test_help():
    done = run("-m", "transreward", "--help")
    assert done.returncode == 0
    assert "transfer" in done.stdout and not done.stderr


# What python tests/house.py prints; a figure may fall, and is then written here, and never rises. The end of it: no
# long file, no long function, no circle, no named row, and at most 5 getattr, each with its reason.
CEILINGS = {"files": 0, "functions": 0, "circles": 0, "rows": 0, "getattr": 3, "except": 3}


@pytest.mark.parametrize("name", house.COUNTS)
def test_the_house_grows_in_new_rooms(name):
    found = house.COUNTS[name]()
    assert len(found) <= CEILINGS[name], f"{name}: {', '.join(found)}"


def test_kept_results_name_no_place_of_a_machine():
    kept = sorted((ROOT.parent / "benchmarks" / "results").rglob("*.json"))
    assert len(kept) > 100
    assert [str(file) for file in kept if re.search(r'"/(tmp|root|home|work|Users)/', file.read_text())] == []


def test_no_two_test_files_share_a_name():
    """pytest imports them by name: one of two that share it is never run."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
