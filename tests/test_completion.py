"""The tab key: bash is asked as it asks itself, with the code that `transreward completion bash` prints."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transreward import cli
from transreward.cli import completion
from transreward.cli.main import COMMANDS
from transreward.domains.files.place import SCHEMES
from transreward.domains.ids import domain
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS
from transreward.methods import METHODS
from transreward.request.resolve import resolve
from transreward.types import DATA

ROOT = Path(__file__).parents[1]
ASK = """
eval "$(transreward completion bash)"
complete -p transreward >&2
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
_python_argcomplete transreward
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """What bash offers for a line, with the package of this tree as the installed one."""
    folder = tmp_path_factory.mktemp("shell")
    started = folder / "transreward"
    started.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m transreward "$@"\n')
    started.chmod(0o755)
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash is here")
    (folder / "runs").mkdir()
    (folder / "arm.xml").touch()

    def offered(line: str) -> list[str]:
        done = subprocess.run(
            [bash, "--norc", "-c", ASK, "bash", line], cwd=folder, capture_output=True, text=True, check=True,
            env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}, timeout=60,
        )  # fmt: skip
        assert "_python_argcomplete transreward" in done.stderr
        return [one.strip() for one in done.stdout.splitlines()]

    return offered


@pytest.mark.slow
def test_bash_completes_what_is_typed(tab):
    assert tab("transreward tra") == ["transfer"]
    assert set(tab("transreward transfer --source-")) == {"--source-steps", "--source-run", "--source-policy"}
    assert tab("transreward transfer hopper hopper --method paired_b") == ["paired_branched"]
    assert tab("transreward transfer half") == ["halfcheetah", "halfcheetah:"], "one offer would get a blank"
    assert set(tab("transreward transfer mjcf:")) == {"arm.xml", "runs/"}
    assert tab("transreward transfer mjcf:ar") == ["arm.xml", "arm.xml:"]
    assert tab("transreward transfer hopper hopper:grav") == ["gravity="], "bash begins a word behind a colon"
    assert tab("transreward compare a b --methods darc,gai") == ["darc,gaifo"]
    assert tab("transreward list sh") == ["shifts"]
    assert tab("transreward report ru") == ["runs/"]
    assert tab("transreward transfer --set loop.fallb") == ["loop.fallback="]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_code(shell, capsys):
    cli.main(["completion", shell])
    out = capsys.readouterr().out
    assert "_ARGCOMPLETE" in out and "transreward" in out


@pytest.mark.parametrize(
    ("typed", "some"),
    [
        ("", "walker2d"),
        ("hopper,wal", "hopper,walker2d"),
        ("hopper:", "hopper:mass="),
        ("hopper:mass=2,", "hopper:mass=2,gravity="),
        ("hopper+", "hopper+hop"),
        ("ant@", "ant@turned90"),
    ],
)
def test_an_id_goes_on(typed, some):
    found = completion.ids(typed)
    assert some in found and len(found) == len(set(found))


def test_an_id_of_a_file_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("arm.xml", "arms/two.xml", "log.csv", "leg.urdf"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert set(completion.ids("mjcf:")) == {"mjcf:arm.xml", "mjcf:arms/"}
    assert completion.ids("mjcf:arms/") == ["mjcf:arms/two.xml", "mjcf:arms/two.xml:"]
    assert completion.ids("mjcf:arms/two.xml:pay") == ["mjcf:arms/two.xml:payload="]
    assert completion.ids("urdf:l") == ["urdf:leg.urdf", "urdf:leg.urdf:"]
    assert set(completion.ids("data:l")) == {"data:leg.urdf", "data:log.csv"}
    assert completion.ids("data:log") == ["data:log.csv"], "a log has no shifts"
    assert completion.ids("arms/") == ["arms/two.xml"], "a file by itself has none either"
    assert completion.ids("gym:") == [] and completion.ids("mj") == ["mjcf:"]
    assert "menagerie:unitree_go1" in completion.ids("menagerie:unitree_")


def test_what_fits_alone_gets_no_blank():
    assert completion.ids("hop") == ["hopper", "hopper:"]
    assert completion.ids("hopper:grav") == ["hopper:gravity="]
    assert completion.ids("halfcheetah@") == ["halfcheetah@mirrored", "halfcheetah@mirrored:"]


def test_nothing_is_offered_inside_brackets():
    assert completion.ids("ant:mass(to") == []


def test_what_is_offered_is_taken():
    """Each table's names, and settings that a request knows."""
    schemes = {f"{scheme}:" for scheme in SCHEMES}
    assert set(completion.ids("")) == {*ROBOTS, *schemes, *DATA, "gym:"}
    assert {one.rstrip("=").rpartition(":")[2] for one in completion.ids("hopper:")} == set(SHIFTS)
    assert domain(next(one for one in completion.ids("ant@"))).name.startswith("ant@")
    assert set(completion.OFFERS["methods"]("")) == set(METHODS)
    assert {"loop.fallback=", "use.strength=", "learner.hidden=", "ground.known="} <= set(completion.settings(""))
    for learner in completion.OFFERS["learner"](""):
        for bridge in completion.OFFERS["bridge"]("")[:2]:
            resolve(
                "hopper", "walker2d" if bridge == "named" else "hopper:mass=2", "fine_tune", learner=learner,
                source_steps=20_000, target_steps=5_000, seeds=1, seed=0, controls=(), settings={}, source_run=None,
                **({"bridge": bridge} if bridge == "named" else {}),
            )  # fmt: skip


def test_every_option_that_takes_a_name_has_an_offer():
    """An offer of no command, and a command without one, would be a typing error."""
    parsers = next(a.choices for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    assert list(parsers) == list(COMMANDS)
    found = {action.dest for parser in parsers.values() for action in parser._actions}
    assert set(completion.OFFERS) <= found


def test_argcomplete_is_left_alone_where_no_shell_asks():
    code = "import sys; from transreward import cli; cli.main(['--help'])"
    said = subprocess.run([sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True)
    assert "argcomplete" not in said.stderr
