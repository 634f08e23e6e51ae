"""A run of a user's own robots and methods is opened, repeated and reported by the ids and modules asked for."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import pytest

import transreward as tr
from transreward import cli
from transreward.bridges import BRIDGES
from transreward.cli import transfer as transfer_command
from transreward.domains.robots import ROBOTS
from transreward.methods import METHODS, method
from transreward.presets import LEARNERS, make_learner
from transreward.reports.films.play import _domains
from transreward.reports.page import write_report
from transreward.reports.repeat import repeat
from transreward.request.files import read_config
from transreward.request.resolve import resolve
from transreward.runs.record import read
from transreward.runs.result import Result
from transreward.types import Pair, RequestError

pytestmark = pytest.mark.usefixtures("hurry")
LAB = """
from dataclasses import dataclass, replace

import transreward as tr
from transreward.bridges import BRIDGES
from transreward.bridges.linear import Symmetry
from transreward.domains.robots import ROBOTS
from transreward.learners.sac import SAC
from transreward.methods import METHODS, method
from transreward.presets import LEARNERS

@dataclass(frozen=True)
class Mine(SAC):
    name = "mine"

ROBOTS["slider"] = replace(ROBOTS["inverted_pendulum"], name="slider")
METHODS["my_way"] = replace(METHODS["fine_tune"], name="my_way", summary="in my own way")
LEARNERS["mine"] = Mine
BRIDGES["behind"] = Symmetry("behind", {"slider": lambda name: (name, 1.0 if name == "survive" else -1.0)})

def plain(): return tr.domain("slider")
def heavy(): return tr.domain("slider:mass=3")
"""
TABLES = (ROBOTS, METHODS, LEARNERS, BRIDGES)


def forget():
    """As a new process is: no module was imported, and no table has its rows."""
    sys.modules.pop("lab", None)
    for table, row in zip(TABLES, ("slider", "my_way", "mine", "behind"), strict=True):
        table.pop(row, None)


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder with the user's module, where the user is."""
    (tmp_path / "lab.py").write_text(LAB)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    forget()


def saved(source, target, method, learner, **request):
    """The directory of a run that was asked for so; nothing is learned. Then all is forgotten."""
    asked = resolve(
        source, target, method, learner=learner, source_steps=600, target_steps=120, seeds=1, seed=0, controls=(),
        settings={"learner.hidden": (4,)}, source_run=None, **request,
    )  # fmt: skip
    agents = jax.vmap(lambda key: asked.learner.init(key, asked.domains.source.spaces))(
        jax.random.split(jax.random.key(0), 1)
    )
    row = {"method": method, "seed": 0, "target_steps": 120, "source_steps": 600, "step": 720, "phase": "transfer"}
    log = [{**row, "source_return": 1.0, "target_return": 1.0}]
    returns = np.ones((1, 2))
    about = asked.as_json(asked.method)
    Result(about, asked.learner, agents, Pair(returns, returns), returns, Pair(600, 120), "budget", 1.0, log=log).save(
        "run"
    )
    forget()
    return about


def asked_again(command):
    """The request that a command line makes."""
    return transfer_command.request_of(cli.parser().parse_args(command[1:]))


def test_a_run_of_a_factory_goes_by_the_factorys_id():
    about = saved("lab:plain", "lab:heavy", "fine_tune", "sac")
    assert (about["source"], about["target"]) == ("lab:plain", "lab:heavy")
    assert [d.name for d in _domains(tr.load("run"))] == ["lab:plain", "lab:heavy"]
    assert asked_again(["transreward", "transfer", "--config", "run/config.json"])["source"] == "lab:plain"
    command = shlex.split(repeat(read(Path("run"))[0], read(Path("run"))))
    assert command[:4] == ["transreward", "transfer", "lab:plain", "lab:heavy"]
    settings = asked_again(command)["settings"]  # the id does not tell which preset there is, so all are said
    assert {f"learner.{name}" for name in about["learner"] if name != "name"} <= settings.keys()


def test_a_run_of_rows_of_a_users_module_is_opened_with_it():
    about = saved("slider@behind", "slider:mass=3", "my_way", "mine", imports=("lab",))
    assert about["imports"] == ["lab"]
    found = tr.load("run")
    assert make_learner("mine", "hopper") == LEARNERS["mine"]()  # which no preset has
    assert found.learner.name == "mine" and [d.name for d in _domains(found)] == ["slider@behind", "slider:mass=3"]
    forget()
    first, *_ = records = read(Path("run"))
    assert asked_again(shlex.split(repeat(first, records)))["imports"] == ["lab"]
    assert asked_again(["transreward", "transfer", "--config", "run/config.json"])["imports"] == ["lab"]


def test_a_run_whose_module_is_not_here_says_so_in_one_line(tmp_path, monkeypatch):
    saved("slider", "slider:mass=3", "my_way", "mine", imports=("lab",))
    (tmp_path / "lab.py").unlink()
    for opened in (tr.load, lambda place: write_report([place])):
        with pytest.raises(RequestError, match="there is no module lab to import: start where it lies") as caught:
            opened("run")
        assert len(str(caught.value).splitlines()) == 1


def test_every_command_takes_modules_to_import(capsys):
    commands = next(iter(cli.parser()._subparsers._group_actions)).choices  # type: ignore[union-attr]
    assert all("--import" in command._option_string_actions for command in commands.values())
    cli.main(["list", "methods", "--import", "lab"])
    assert "in my own way" in capsys.readouterr().out
    forget()
    cli.main(["list", "domains", "--import", "lab"])
    assert "slider" in capsys.readouterr().out


def test_what_the_check_says_next_has_the_modules_too():
    found = tr.check("slider", "slider:mass=3", target_steps=300, imports=["lab"])
    assert "--import lab" in found.command


MODULES = {
    "nowhere": ("", "there is no module nowhere to import: start where it lies, or put that folder on PYTHONPATH"),
    "lab.robots": ("", "there is no module lab.robots to import"),
    "raising": (
        "raise OSError('no robot\\nanywhere')",
        "the module raising cannot be imported: OSError: no robot anywhere (raising.py, line 1)",
    ),
    "wanting": (
        "import no_such_package_at_all",
        "the module wanting cannot be imported: ModuleNotFoundError: No module",
    ),
    "deep": (
        "import numpy as np\ndef size(x):\n    return np.concatenate(x)\nsize(np.zeros(()))",
        "(deep.py, line 3)",
    ),
    "leaving": ("import sys; sys.exit(3)", "the module leaving cannot be imported: SystemExit: 3"),
    "garbled": ("def", "the module garbled cannot be imported: SyntaxError"),
    "lab.py": ("", "cannot import 'lab.py': name a module as Python does"),
    "../lab": ("", "cannot import '../lab'"),
    "": ("", "cannot import ''"),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_cannot_be_imported_is_one_line(name, capsys):
    text, why = MODULES[name]
    if text:
        Path(f"{name}.py").write_text(text)
    with pytest.raises(SystemExit) as caught:
        cli.main(["list", "methods", "--import", name])
    out, err = capsys.readouterr()
    assert caught.value.code == 2 and why in err and len(err.splitlines()) == 1 and not out


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("def made():\n    return {}['arm']", "'robots.mine:made' failed: KeyError: 'arm' (robots/mine.py, line 2)"),
        (
            "import gymnasium\ndef made():\n    return gymnasium.make('Own-v0')\ndef own():\n    raise TypeError(3)\n"
            "gymnasium.register('Own-v0', own)",
            "(robots/mine.py, line 5)",
        ),
    ],
)
def test_what_a_factory_raises_is_said_with_its_line(made, why):
    """Also where a library raised it anew."""
    Path("robots").mkdir()
    Path("robots/mine.py").write_text(made)
    with pytest.raises(RequestError, match=re.escape(why)):
        tr.domain("robots.mine:made")
    for name in ("robots.mine", "robots"):
        sys.modules.pop(name, None)


def test_a_name_that_is_like_no_other_points_to_modules_of_ones_own(capsys):
    for refused in (lambda: tr.domain("zzyzx"), lambda: method("zzyzx"), lambda: method("filter(zzyzx)")):
        with pytest.raises(RequestError, match="own are known once `imports` names it"):
            refused()
    with pytest.raises(RequestError, match=r"did you mean hopper\?$"):
        tr.domain("hoper")
    with pytest.raises(SystemExit):
        cli.main(["transfer", "zzyzx", "zzyzx:gravity=2"])
    assert "those of a module of your own are known once --import names it" in capsys.readouterr().err


def test_a_source_run_brings_the_modules_that_it_needed():
    about = saved("slider", "slider:mass=3", "my_way", "mine", imports=("lab",))
    Path("run/source").mkdir()
    agent = {"source": "slider", "learner": about["learner"], "seeds": [0], "steps": 600}
    Path("run/source/agent.json").write_text(json.dumps(agent))

    def again():
        return resolve(
            "slider", "slider:mass=2", "my_way", learner=None, source_steps=600, target_steps=120, seeds=1, seed=0,
            controls=(), settings={}, source_run="run",
        )  # fmt: skip

    assert again().learner.name == "mine" and again().imports == ("lab",)
    forget()
    Path("lab.py").unlink()
    for refused in (
        again,
        lambda: tr.check("slider", "slider:mass=2", source_run="run"),
        lambda: tr.compare("slider", "slider:mass=2", ["my_way"], source_run="run"),
    ):
        with pytest.raises(RequestError, match=r"no module lab to import.*\(the source run run needs lab\)"):
            refused()


@pytest.mark.parametrize("imports", [3, {"lab": 1}])
def test_a_config_that_lists_no_modules_is_refused(imports):
    Path("config.json").write_text(json.dumps({"source": "slider", "target": "slider:mass=3", "imports": imports}))
    with pytest.raises(RequestError, match="'imports' must be a list of modules"):
        read_config(Path("config.json"))
