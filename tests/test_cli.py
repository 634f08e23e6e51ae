"""The command line: a wrong request costs one clear line and leaves nothing, a right one leaves a whole run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import warnings
from functools import lru_cache
from importlib import import_module, metadata
from pathlib import Path

import jax
import pytest
from quick import compiler

import transreward as tr
from transreward import cli, doctor
from transreward.cli import compare as compare_command
from transreward.cli import directory, options
from transreward.cli import transfer as transfer_command
from transreward.cli.main import COMMANDS
from transreward.domains.files.place import SCHEMES
from transreward.domains.logs import recorded
from transreward.domains.robots import ROBOTS
from transreward.domains.shifts import SHIFTS
from transreward.domains.tasks import TASKS
from transreward.methods import METHODS
from transreward.presets import LEARNERS
from transreward.reports.films import painter
from transreward.request import resolve as resolving
from transreward.runs import store
from transreward.types import CONTROLS, DATA, BrokenRun

PAIR = ["inverted_pendulum", "inverted_pendulum:gravity=2"]
SMALL = [
    "learner.hidden=4", "learner.robots=4", "learner.rollout_steps=16", "learner.minibatches=2", "learner.epochs=2",
    "learner.target_rollout=32", "loop.final_episodes=2", "loop.eval_episodes=1", "loop.evaluations=2",
    "loop.source_evaluations=1", "gap.hidden=4", "gap.batch=16", "loop.gap_updates=0.5",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def hurry():
    """The compiler is told not to try hard, and a domain is made once, so that what was compiled serves twice."""
    with compiler(hurried=True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "domain", lru_cache(recorded.domain))
        patch.setattr(resolving, "require_difference", lru_cache(resolving.require_difference))
        yield


@pytest.fixture(autouse=True)
def empty_directory(tmp_path, monkeypatch):
    """Each test works in a directory of its own, and what is compiled is kept nowhere else."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRANSREWARD_CACHE", "")


def left() -> list[str]:
    """What lies in the working directory."""
    return sorted(str(path) for path in Path().rglob("*"))


WRONG = {
    "hoper hoper:gravity=2": "unknown robot 'hoper': did you mean hopper",
    "hopper+backwrd hopper": "unknown task of hopper 'backwrd': did you mean backward",
    "hopper hopper:gravty=2": "did you mean gravity",
    "halfcheetah halfcheetah:broken=bthig": "did you mean bthigh",
    "hopper hopper:gravity": "has no value: write gravity=<factor>",
    "hopper hopper:": "nothing follows the colon",
    "hopper hopper:gravity=-1": "must be a number",
    "hopper hopper:gravity=1": "the shift 'gravity=1' of hopper changes nothing",
    "hopper hopper": "differ in nothing",
    "hopper halfcheetah": "of your own); robots that fit hopper, with any shift: hopper",
    "hopper walker2d --bridge nmed": "unknown bridge 'nmed': did you mean named",
    "hopper walker2d --method paired": "'paired' needs one body",
    "hopper walker2d --method dpba": "'dpba' needs one body",  # it asks the policy, of whose columns some are shared
    "hopper": "name a target too",
    "gym:CartPole-v1 gym:CartPole-v0": "discrete action space",
    "gym:ALE/Pong-v5 gym:ALE/Pong-v5": "pip install 'ale-py'",
    "gym:no_such_package:Robot-v0 hopper": "there is no module no_such_package to import",
    "--method darcs": "unknown method 'darcs': did you mean darc",
    "--controls orakle": "unknown method 'orakle': did you mean oracle",
    "--learner pppo": "unknown learner 'pppo': did you mean ppo",
    "--learner td3": "unknown learner 'td3': there are: ppo, sac",
    "--target-steps 0": "target steps must be a whole number of at least 1, not 0",
    "--source-steps -5": "source steps must be a whole number of at least 1, not -5",
    "--target-steps 2.5": "argument --target-steps: 2.5 is no whole number, such as 10000, 10_000, 10,000 or 1e4",
    "--target-steps many": "many is no whole number",
    "--seeds 1,0": "1,0 is no whole number",
    "--source-steps inf": "inf is no whole number",
    "--seeds 0": "seeds must be a whole number of at least 1, not 0",
    "--seed -1": "seed must be a whole number of at least 0, not -1",
    "--source-steps 3": "raise --source-steps to ",
    "--out run": "already holds a run",
    "--out file": "is a file",
    "--out file/below": "cannot be made",
    "--source-run nowhere": "nowhere is not a run directory: there is no such directory",
    "--source-run run": "is not a run directory",
    "--config nowhere.yaml": "cannot read nowhere.yaml",
    "--method paired": "use --learner sac",
    "--method mean_gap --cotrain --learner sac --source-run run": "with --cotrain the source's agent learns",
    "--set strength": "write PATH=VALUE",
    "--method darc --set use.strenght=1": "did you mean use.strength",
    "--method darc --set use.strength=much": "use.strength must be a number",
    "--set learner.robots=0": "learner.robots must be at least 1",
    "--method fine_tune --set use.strength=1": "method 'fine_tune' has no use",
    "--metod darc": "unrecognized arguments: --metod",
    "a b c": "unrecognized arguments: c",
}


def check_refused(capsys, arguments: list[str], why: str) -> None:
    """Exit code 2, one line on standard error that says why, nothing new on disk."""
    before = left()
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    out, err = capsys.readouterr()
    assert caught.value.code == 2
    assert why in err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in out + err
    assert left() == before


@pytest.mark.parametrize("arguments", WRONG)
def test_a_wrong_transfer_is_refused(capsys, arguments):
    os.makedirs("run")
    Path("run/config.json").write_text("{}")
    Path("file").write_text("")
    words = arguments.split()
    request = words if words[0][0] != "-" else [*PAIR, "--learner", "ppo", *words]
    check_refused(capsys, ["transfer", *request], WRONG[arguments])


def test_a_directory_that_was_taken_meanwhile_gives_way_to_the_next():
    places, started = [], {"target": "hopper:gravity=2"}

    def run(out):
        places.append(out)
        if len(places) == 1:
            store.claim(Path(out))  # another run, which was a moment faster
        store.claim(Path(out))

    assert directory.run_in_its_directory({**started}, "darc", run) == "runs/hopper-gravity-2-darc-2"
    assert places == ["runs/hopper-gravity-2-darc-1", "runs/hopper-gravity-2-darc-2"]
    with pytest.raises(store.Taken, match="already holds a run"):  # what was asked for by name stays
        directory.run_in_its_directory({**started, "out": places[0]}, "darc", run)
    assert Path(places[0], "config.json").read_text() == "" and len(left()) == 5


@pytest.mark.parametrize("part", ["damping(hip_1)=2,", "\N{GREEK SMALL LETTER OMEGA}", "lab.", "\N{SNOWMAN}"])
def test_long_names_are_shortened_and_stay_apart(part):
    targets = [part * 100 + end for end in ("a", "b")]
    names = [next(directory.new_directories(target, "darc")) for target in targets]
    assert len(set(names)) == 2
    for name in names:
        store.claim(Path(name))
        assert len(Path(name).name.encode()) < 143  # all that an encrypted file system takes


WRONG_COMPARISONS = {
    "": "name the methods to compare, as in --methods auto,fine_tune",
    "--methods ,": "name the methods to compare",
    "--methods darcs": "unknown method 'darcs': did you mean darc",
    "--methods darc,oracel": "unknown method 'oracel': did you mean oracle",
    "--methods darc,fine_tune,darc": "method 'darc' is named twice",
    "--methods darc --out run": "already holds a run",
    "--methods darc --out file": "is a file",
    "--methods darc --seeds 0": "seeds must be a whole number of at least 1, not 0",
    "--methods darc --learner pppo": "unknown learner 'pppo': did you mean ppo",
    "--methods darc --set use.strenght=1": "did you mean use.strength",
    "--methods fine_tune --set gap.noise=1": "has no gap",
    "--methods darc --config nowhere.yaml": "cannot read nowhere.yaml",
    "--config three.yaml": "unknown method '3'",
    "--methods darc --controls none": "unrecognized arguments: --controls none",
}


@pytest.mark.parametrize("arguments", WRONG_COMPARISONS)
def test_a_wrong_comparison_is_refused(capsys, arguments):
    os.makedirs("run")
    Path("run/config.json").write_text("{}")
    Path("file").write_text("")
    Path("three.yaml").write_text("method: 3")
    check_refused(capsys, ["compare", *PAIR, *arguments.split()], WRONG_COMPARISONS[arguments])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ("compare hopper --methods darc", "required: target"),
        ("compare hopper hopper:gravty=2 --methods darc", "did you mean gravity"),
        ("compare hopper halfcheetah --methods darc", "bridge"),
        ("check hopper hopper:gravity=2 --target-steps 5000", "from 1 to 2,000"),
        ("check hopper hopper:gravity=2 --source-run nowhere", "is not a run directory"),
        ("check hopper halfcheetah", "bridge"),
        ("check hopper", "name the target, or --logs of it"),
        ("identify hopper", "name the target, or --logs of it"),
        ("identify hopper --logs nowhere.npz", "there is no such file"),
        ("identify hopper hopper:gravity=2 --logs a.npz", "and not both"),
        ("check hoper hopper", "did you mean hopper"),
        ("list robots", "invalid choice: 'robots'"),
        ("lst domains", "did you mean list? (see 'transreward --help')"),
        ("tranfer hopper ant", "did you mean transfer?"),
        ("transfer hopper ant --methods darc", "did you mean --method? (see 'transreward transfer --help')"),
        ("play runs/x --quickly", "unrecognized arguments: --quickly (see 'transreward play --help')"),
        ("", "required: COMMAND"),
        (
            "transfer hopper --target ant",
            "--target ant: source and target are written without a name",
        ),
        ("transfer hopper ant --target-step 5", "--target-step 5: did you mean --target-steps?"),
        ("export nowhere", "nowhere is not a run directory"),
        ("doctor --fast", "unrecognized arguments: --fast"),
    ],
)
def test_other_wrong_commands_are_refused(capsys, monkeypatch, arguments, why):
    monkeypatch.setitem(sys.modules, "onnx", None)  # a missing package is no reason before there is a run
    check_refused(capsys, arguments.split(), why)


def test_an_error_names_options_as_they_are_typed():
    """A library error names fields of a request in Python's words, which stay as they are where they are none."""
    said = 'raise `source_steps`, use `learner="sac"`, `cotrain=True`, `methods=["darc", "mix"]` or `controls=[]`'
    assert (
        options.as_options(said)
        == "raise --source-steps, use --learner sac, --cotrain, --methods darc,mix or --controls none"
    )
    assert options.as_options("`out=/tmp/a b` with `use.strength=0`") == "--out /tmp/a b with --set use.strength=0"
    assert (
        options.as_options("its learner has no `seen`, see `pip install x`")
        == "its learner has no `seen`, see `pip install x`"
    )


def start(*arguments: str, code: int) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(Path(tr.__file__).parents[1]), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-m", "transreward", *arguments], capture_output=True, text=True, check=False, timeout=120,
        env=environment,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.slow
def test_as_a_program(monkeypatch):
    """The same from a shell, where nothing but the line itself may reach standard error."""
    done = start("transfer", "hopper", "hopper:gravty=2", code=2)
    assert done.stderr.splitlines() == ["transreward: unknown shift 'gravty': did you mean gravity?"]
    assert not left()
    assert start("--version", code=0).stdout == f"transreward {tr.__version__}\n"
    assert not start("check", *PAIR, code=0).stderr


# -- looking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("domains", [*ROBOTS, "mjcf:path.xml", "urdf:path.urdf", "menagerie:unitree_go1", "gym:Id"]),
        ("methods", ["method", *METHODS, "use(gap)"]),
        ("learners", LEARNERS),
        ("shifts", SHIFTS),
        ("tasks", [kind.usage.partition("=")[0] for kind in TASKS.values()]),
    ],
)
def test_list_names_what_there_is_in_a_line_each(capsys, what, names):
    cli.main(["list", what])
    lines = capsys.readouterr().out.splitlines()
    assert [re.split(r"[ =]", line)[0] for line in lines][: len(names)] == list(names)
    assert all(len(line.split()) > 1 for line in lines)


def test_every_kind_of_id_is_told(capsys):
    """In the list of domains, and where a command's help says what an id is."""
    cli.main(["list", "domains"])
    listed = capsys.readouterr().out
    for kind in (*(f"{scheme}:" for scheme in SCHEMES), *DATA, "gym:", "package.module:factory"):
        assert f"\n{kind}" in listed
        assert kind in options.IDS
    assert "docs/" not in listed, "an installed package has none"


def test_a_warning_is_one_line(monkeypatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards
    cli.main(["list", "learners"])
    assert warnings.formatwarning("no limit", UserWarning, "gym.py", 1) == "transreward: no limit\n"


@pytest.mark.parametrize("what", ["domains", "methods", "tasks"])
def test_a_list_fits_a_terminal(what, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    cli.main(["list", what])
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    assert what != "methods" or all(line.split() != ["off-policy"] for line in shown.splitlines())
    monkeypatch.undo()
    cli.main(["list", what])
    assert capsys.readouterr().out.split() == shown.split()


def test_an_error_is_broken_between_words_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    found = {}
    for terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        for line in ("transfer hopper hopper --target-steps none", "transfer hopper hopper:gravitas=2"):
            with pytest.raises(SystemExit):
                cli.main(line.split())
            found[terminal, line] = capsys.readouterr().err
    for (terminal, line), said in found.items():
        assert said.split() == found[not terminal, line].split()
        assert (said.count("\n") > 1) == terminal and (not terminal or max(map(len, said.splitlines())) <= 40)


def test_help_fits_a_terminal_and_says_what_the_command_takes(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        shown = capsys.readouterr().out
        assert max(map(len, shown.splitlines())) <= 80
        assert ("\nsettings:" in shown) == ("--set PATH=VALUE" in shown)
        assert "docs/" not in shown, "an installed package has none"


def test_check_shows_spaces_and_the_measured_shift(capsys):
    """The rest of what it shows is in tests/preflight."""
    cli.main(["check", *PAIR, "--target-steps", "200"])
    out = " ".join(capsys.readouterr().out.split())
    assert "inverted_pendulum: 4 observations, 1 actions in [-3, 3]" in out
    largest = tr.measure(*map(tr.domain, PAIR), n=24).obs
    assert f"largest one-step difference {largest:.3g}" in out and "hinge velocity" in out
    assert f"transreward transfer {' '.join(PAIR)}" in out
    assert not left()


def test_doctor_is_well(capsys):
    cli.main(["doctor"])
    out = capsys.readouterr().out
    checks = [line for line in out.splitlines() if line.endswith(" s)")]
    assert len(checks) + out.count("without: MuJoCo draws") == 5 and "FAILED" not in out
    assert f"jax {jax.__version__}" in out


def test_doctor_knows_every_extra(capsys, monkeypatch):
    told = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(doctor.EXTRAS) == set(told) - {"dev", "docs", "all"}
    (everything,) = told["all"]
    names = re.findall(r"\w+", everything.partition("[")[2])
    assert set(names) == set(doctor.EXTRAS) - {"cuda"}, "which needs a card, and two gigabytes"
    for extra in doctor.EXTRAS:
        written = [re.split(r"[^\w.-]", one)[0].lower() for one in told[extra]]
        brought = ["jaxlib", "jax-cuda13-plugin"] if extra == "cuda" else written
        assert [package.lower() for package in doctor.packages(extra)] == brought

    def version(package):
        if package == "pyarrow":
            raise metadata.PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(doctor.metadata, "version", version)
    said = [doctor._extra(name, "a purpose") for name in ("logs", "ray")]
    assert said == ["without: a purpose (pyarrow missing): pip install 'transreward[logs]'", "ok: a purpose (ray 1.0)"]


def test_doctor_says_what_there_is_to_do_without(capsys, monkeypatch):
    """No renderer and no ONNX: videos and exports are not to be had, and all else is well."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(painter, "_works", lambda name: False)
    painter.backend.cache_clear()
    cli.main(["doctor"])
    out = capsys.readouterr().out
    assert "without: MuJoCo draws, for videos: no video: neither EGL nor OSMesa nor a display works" in out
    assert "without: ONNX and onnxruntime, for exports: the package onnxruntime is missing: pip install" in out
    assert "FAILED" not in out


def test_doctor_says_what_fails(capsys, monkeypatch):
    def broken():
        raise OSError("no such library\nat all")

    monkeypatch.setattr("transreward.doctor._mujoco", broken)
    with pytest.raises(SystemExit) as caught:
        cli.main(["doctor"])
    assert caught.value.code == 1
    assert "FAILED: MuJoCo simulates half-cheetah: no such library at all" in capsys.readouterr().out


# -- how it ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (BrokenRun("hopper, control step 3,\nrow 1: not finite"), 1, "hopper, control step 3, row 1: not finite"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_a_run_that_ends_early_has_its_exit_code(capsys, monkeypatch, error, code, line):
    def ends(*arguments, **settings):
        raise error

    monkeypatch.setattr(import_module("transreward.transfer"), "transfer", ends)
    with pytest.raises(SystemExit) as caught:
        cli.main(["transfer", *PAIR])
    err = capsys.readouterr().err
    assert caught.value.code == code
    assert line in err and len(err.splitlines()) == 1


def test_options_win_over_the_config_and_that_over_the_defaults():
    Path("run.yaml").write_text(
        "source: hopper\ntarget: hopper:gravity=2\nmethod: fine_tune\ntarget_steps: 500\nseeds: 2\n"
        "learner: {name: sac, robots: 8, batch: 32}\nsettings: {loop.threads: 1}\n"
    )

    def request(*arguments):
        return transfer_command.request_of(cli.parser().parse_args(["transfer", *arguments]))

    plain = request()
    assert (plain["source"], plain["target"]) == ("halfcheetah", "halfcheetah:broken=bthigh")
    assert plain["controls"] == ["zero_shot", "fine_tune", "target_only"]
    assert "method" not in plain and plain["settings"] == {}
    file = request("--config", "run.yaml")
    assert {
        "source": "hopper",
        "method": "fine_tune",
        "target_steps": 500,
        "seeds": 2,
        "learner": "sac",
    }.items() <= file.items()
    assert file["controls"] == plain["controls"]
    assert file["settings"] == {"learner.robots": 8, "learner.batch": 32, "loop.threads": 1}
    both = request(
        "ant", "--config", "run.yaml", "--target-steps", "7", "--controls", "none", "--set", "learner.robots=16",
        "--set", "loop.aligned=0.5",
    )  # fmt: skip
    assert (both["source"], both["target"], both["target_steps"], both["seeds"]) == ("ant", "hopper:gravity=2", 7, 2)
    assert both["controls"] == []
    assert both["settings"] == {
        "learner.robots": "16", "learner.batch": 32, "loop.threads": 1, "loop.aligned": "0.5",
    }  # fmt: skip


def comparison_request(*arguments):
    return compare_command.request_of(cli.parser().parse_args(["compare", *PAIR, *arguments]))


def test_a_comparison_takes_the_methods_of_the_options_or_else_of_the_config():
    Path("run.yaml").write_text(
        "source: hopper\nmethod: fine_tune\ncontrols: [darc]\nseeds: 2\nsettings: {loop.threads: 1}\n"
    )
    file = comparison_request("--config", "run.yaml")
    assert file == {
        "source": PAIR[0], "target": PAIR[1], "methods": ["fine_tune", "darc"], "seeds": 2,
        "settings": {"loop.threads": 1},
    }  # fmt: skip
    both = comparison_request("--config", "run.yaml", "--methods", "oracle, darc", "--seeds", "4", "--out", "here")
    assert (both["methods"], both["seeds"], both["out"]) == (["oracle", "darc"], 4, "here")


def test_transfer_and_compare_share_their_options():
    """But for how the methods are named; and a comparison is made from one source agent, which co-training has not."""
    commands = next(action.choices for action in cli.parser()._actions if action.choices)
    known = {name: set(commands[name]._option_string_actions) for name in ("transfer", "compare")}
    assert known["transfer"] - {"--method", "--controls", "--cotrain"} == known["compare"] - {"--methods"}
    assert all(name in compare_command.ABOUT for name in CONTROLS)


def test_a_new_directory_is_named_after_the_run():
    def place():
        return next(directory.new_directories(PAIR[1], "darc"))

    assert place() == "runs/inverted-pendulum-gravity-2-darc-1"
    os.makedirs(place())
    assert place() == "runs/inverted-pendulum-gravity-2-darc-2"


# -- a whole run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small transfer in a working directory of its own, and what it printed."""
    place = tmp_path_factory.mktemp("cli")
    with pytest.MonkeyPatch.context() as patch, open(place / "printed", "w") as printed:
        patch.chdir(place)
        patch.setenv("TRANSREWARD_CACHE", "")
        patch.setattr(sys, "stdout", printed)
        cli.main(
            ["transfer", *PAIR, "--method", "darc", "--learner", "ppo",
             "--source-steps", "512", "--target-steps", "64", "--seeds", "2",
             "--controls", "zero_shot,oracle", "--set", *SMALL]
        )  # fmt: skip
    return place, (place / "printed").read_text()


def test_a_run_directory_is_whole(finished):
    directory = finished[0] / "runs" / "inverted-pendulum-gravity-2-darc-1"
    run = ["config.json", "metrics.jsonl", "policy.safetensors", "result.json", "returns.safetensors"]
    own = ["body.json", "compensation.safetensors", "controls", "provenance.json", "report.html", "source", "state"]
    if (directory / "videos").exists():  # not where nothing draws
        assert sorted(path.name for path in (directory / "videos").iterdir()) == ["after.mp4", "before.mp4"]
        own.append("videos")
    assert sorted(path.name for path in directory.iterdir()) == sorted([*own, *run])
    assert sorted(path.name for path in (directory / "source").iterdir()) == ["agent.json", "agent.safetensors"]
    assert sorted(path.name for path in (directory / "controls").iterdir()) == ["oracle", "zero_shot"]
    for control in (directory / "controls").iterdir():
        assert sorted(path.name for path in control.iterdir()) == run
    assert not list(finished[0].rglob("*.part"))


def test_result_json_is_as_designed(finished):
    directory = finished[0] / "runs" / "inverted-pendulum-gravity-2-darc-1"
    result = json.loads((directory / "result.json").read_text())
    assert set(result) >= {
        "schema", "versions", "source", "target", "method", "learner", "seeds", "source_steps", "target_steps",
        "target_return", "source_return", "zero_shot_target_return", "stopped", "wall_seconds", "steps_per_second",
    }  # fmt: skip
    assert (result["source"], result["target"], result["method"], result["learner"]) == (*PAIR, "darc", "ppo")
    assert result["seeds"] == [0, 1]
    assert 0 < result["source_steps"] <= 512 and 0 < result["target_steps"] <= 64
    assert result["stopped"] in ("aligned", "converged", "budget")
    for name in ("target_return", "source_return", "zero_shot_target_return"):
        part = result[name]
        assert set(part) == {"mean", "ci95", "per_seed", "episodes"}
        assert (len(part["per_seed"]), part["episodes"], len(part["ci95"])) == (2, 2, 2)
        assert part["ci95"][0] <= part["mean"] <= part["ci95"][1]
    oracle = json.loads((directory / "controls" / "oracle" / "result.json").read_text())
    assert oracle["breaks_budget"] and oracle["target_steps"] > 64 and oracle["zero_shot_target_return"] is None
    assert tr.load(directory).target_return.mean() == pytest.approx(result["target_return"]["mean"])


def test_metrics_are_one_object_per_evaluation_and_seed(finished):
    path = finished[0] / "runs" / "inverted-pendulum-gravity-2-darc-1" / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["seed"] for row in rows] == [0, 1] * 3
    assert set(rows[-1]) >= {
        "step", "source_steps", "target_steps", "seed", "source_return", "target_return", "compensated_return",
        "gap_mean", "gap_std",
    }  # fmt: skip


def test_what_is_printed_away_from_a_terminal_is_plain_lines(finished):
    printed = finished[1]
    assert "\x1b" not in printed and "\r" not in printed
    lines = printed.splitlines()
    assert sum(" return " in line and " in the target" in line for line in lines) >= 4  # a line an evaluation
    assert any("BREAKS the target budget" in line for line in lines)
    first = [line.strip("│ ").split()[:1] for line in lines]
    assert ["darc"] in first and ["zero_shot"] in first, "the table is cut"
    assert "saved in runs/inverted-pendulum-gravity-2-darc-1" in printed


def test_its_own_config_and_source_agent_are_taken_up(finished, capsys):
    """One command from config.json, one step further with --source-run; what does not fit is refused."""
    first = finished[0] / "runs" / "inverted-pendulum-gravity-2-darc-1"
    own = str(first / "config.json")
    check_refused(capsys, ["transfer", "--config", own, "--out", str(first)], "already holds a run")
    check_refused(capsys, ["transfer", "--config", own, "--source-run", str(first), "--seeds", "3"], "seeds [0, 1]")
    request = transfer_command.request_of(cli.parser().parse_args(["transfer", "--config", own, "--out", "again"]))
    assert request["controls"] == ["zero_shot", "oracle"]
    again = tr.transfer(**{**request, "controls": []})
    one, two = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in tr.load(place).log] for place in (first, "again")
    )
    assert one == two
    assert again.stopped == tr.load(first).stopped


@pytest.mark.slow
def test_a_comparison_leaves_its_table_beside_the_runs(capsys):
    cli.main(
        ["compare", *PAIR, "--methods", "darc", "--learner", "ppo", "--source-steps", "512", "--target-steps", "64",
         "--seeds", "2", "--set", *SMALL]
    )  # fmt: skip
    out, err = capsys.readouterr()
    directory = Path("runs/inverted-pendulum-gravity-2-compare-1")
    found = json.loads((directory / "comparison.json").read_text())
    assert list(found["methods"]) == ["darc", "zero_shot", "fine_tune", "target_only"]
    assert all((directory / row["directory"] / "result.json").exists() for row in found["methods"].values())
    assert not err and "\x1b" not in out
    assert "2 seeds: the bootstrap resamples only these returns" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("target_only ")] == ["target_only"] * 2
    assert out.count("target_only: target steps a seed: ") == 1
    assert f"saved in {directory}" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device here")
def test_a_full_disk_behind_what_is_printed_is_said_in_a_line(monkeypatch, capsys):
    with open("/dev/full", "w", buffering=1) as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(SystemExit) as ended:
            cli.main(["list", "learners"])
    assert ended.value.code == 1
    said = "transreward: what this command prints cannot be written: No space left on device: make room"
    assert capsys.readouterr().err.startswith(said)
