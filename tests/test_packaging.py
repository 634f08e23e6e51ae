"""What is handed out works where nothing else is: the wheel holds what it needs and no more, the sdist builds the same
wheel, and the wheel alone moves a skill, without a network and without a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import transreward

ROOT = Path(__file__).parents[1]
NEEDED = ("py.typed", "reports/page.html", "reports/macros.html", "study/page.html", "session/transreward.hpp")
SMALL = ["inverted_pendulum", "inverted_pendulum:mass=2", "--method", "fine_tune", "--controls", "none"]
SMALL += ["--source-steps", "4096", "--target-steps", "1100", "--seeds", "1", "--no-video"]
SMALL += ["--set", "learner.hidden=8,8", "loop.eval_episodes=1", "loop.final_episodes=1"]
pytestmark = pytest.mark.slow


def built(kind: str, tree: Path, out: Path) -> Path:
    """The one file of this kind, made of a tree by the build backend alone."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    return built("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


def held(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_wheel_holds_the_package_and_no_more(wheel):
    names = set(held(wheel))
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "transreward").rglob("*") if path.is_file()}
    assert {name for name in names if ".dist-info/" not in name} == {n for n in package if "__pycache__" not in n}
    assert {f"transreward/{name}" for name in NEEDED} <= names
    assert {
        f"transreward-{transreward.__version__}.dist-info/{one}" for one in ("entry_points.txt", "METADATA")
    } <= names
    assert wheel.stat().st_size < 2e6


def test_what_the_wheel_says_of_itself(wheel):
    told = Parser().parsestr(next(text.decode() for name, text in held(wheel).items() if name.endswith("/METADATA")))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told["Version"] == transreward.__version__ and told["Requires-Python"] == project["requires-python"]
    assert told["License-Expression"] == "MIT" and told["Description-Content-Type"] == "text/markdown"
    assert {*told.get_all("Provides-Extra")} == {*project["optional-dependencies"]}


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # which Python 3.11 has from its fourth on
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path / "open", **safely)  # type: ignore[arg-type]
    (tree,) = (tmp_path / "open").iterdir()
    assert held(built("wheel", tree, tmp_path / "again")) == held(wheel)
    for name in ("tests/conftest.py", "docs/conf.py", "constraints.txt", "README.md", "LICENSE", "CITATION.cff"):
        assert (tree / name).is_file(), "its tests can be run, and its pages built"
    assert not (tree / "benchmarks/results").exists() and not (tree / "docs/_build").exists()
    assert sdist.stat().st_size < 20e6


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The scripts of an environment with the wheel alone, which sees the packages it needs in the one of the tests."""
    place = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    scripts = place / "bin"
    pips = [python for python in (sys.executable, sys._base_executable) if _has_pip(python)]  # type: ignore[attr-defined]
    if not pips:
        pytest.skip("no pip is here to install a wheel with")
    command = [pips[0], "-m", "pip", "--python", str(scripts / "python"), "--disable-pip-version-check"]
    command += ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (site,) = place.glob("lib/python*/site-packages")
    # Only the folders: their own .pth files, such as that of an editable transreward, are not read.
    seen = [path for path in sys.path if path.endswith("-packages")]
    (site / "outer.pth").write_text("\n".join(seen))
    return scripts


def _has_pip(python: str) -> bool:
    return subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def alone() -> list[str]:
    """What is put before a command so that it has no network."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if (tool := shutil.which("unshare")) and subprocess.run(
            [tool, *words[1:], "true"], capture_output=True, check=False
        ).returncode == 0:
            return [tool, *words[1:]]
    return []


def run(scripts: Path, folder: Path, *words: str, before: list[str] | None = None) -> str:
    """What a command of the environment prints, in a folder where nothing else is found."""
    kept = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    kept |= {"PATH": str(scripts), "HOME": str(folder)}
    done = subprocess.run(
        [*(before or []), str(scripts / words[0]), *words[1:]],
        cwd=folder, env=kept, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_alone_is_what_runs(installed, tmp_path):
    assert run(installed, tmp_path, "transreward", "--version") == f"transreward {transreward.__version__}\n"
    said = run(installed, tmp_path, "python", "-c", "import transreward as tr; print(tr.__file__)")
    assert Path(said.strip()).is_relative_to(installed.parent)


def test_it_works_without_a_compiler(installed, tmp_path):
    """PATH holds the environment's scripts alone."""
    said = run(installed, tmp_path, "transreward", "doctor")
    assert "ok: JAX computes" in said and "ok: MuJoCo simulates" in said and "FAILED" not in said


def test_it_moves_a_skill_without_a_network(installed, tmp_path):
    if not (before := alone()):
        pytest.skip("no namespace without a network can be made here")
    dark = "import socket; socket.create_connection(('192.0.2.1', 80), 2)"  # an address of nobody's
    with pytest.raises(AssertionError, match="unreachable"):
        run(installed, tmp_path, "python", "-c", dark, before=before)
    run(installed, tmp_path, "transreward", "transfer", *SMALL, "--out", "run", before=before)
    assert (tmp_path / "run/report.html").stat().st_size > 10_000
