"""`check` says what differs physically, by the steps that it takes anyway, or by logs alone."""

from dataclasses import replace

import numpy as np
import pytest
from test_request import steps, written

import transreward as tr
from transreward.cli.main import main
from transreward.preflight import check
from transreward.preflight.physical import unshifted
from transreward.preflight.steps import Budget, probe
from transreward.preflight.verdict import COMPENSATE, TRANSFER, Coverage, Figures, decide
from transreward.types import Pair, RequestError


@pytest.mark.parametrize(
    ("target", "id"), [("hopper:gravity=0.5", "hopper:gravity=0.5"), ("gym:Hopper-v5", "hopper")], ids=["table", "gym"]
)
def test_it_takes_no_further_step(monkeypatch, target, id):
    """Nothing of the target is simulated once the figures have been taken."""
    pair, budget, more = Pair(tr.domain("hopper"), tr.domain(target)), Budget(600), []
    probes = probe(*pair, budget, None, 0)
    monkeypatch.setattr(pair.target, "simulate", lambda *_: more.append(1))
    found = check.physical(pair, probes)
    assert not more and budget.taken <= 600
    assert found.id == id and not found.remains
    assert unshifted(found) == (found.target_steps if id == "hopper" else 0)


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [
        ("hopper", "hopper:delay=1", None),  # which after one step did as without a motor
        ("hopper:delay=1", "hopper:delay=1,gravity=0.5", "hopper:delay=1,gravity=0.5"),
    ],
)
def test_a_robot_that_acts_late_is_not_told_as_one_with_dead_motors(source, target, told):
    pair = Pair(tr.domain(source), tr.domain(target))
    found = check.physical(pair, probe(*pair, Budget(900), None, 0))
    if told is None:
        assert "acts or sees later than the other" in found and "ask `transreward identify`" in found
    else:
        assert found.id == told


def test_what_the_sources_simulator_foretells_counts_more_than_models():
    """Of another domain, whose figures are those of models: they see a gap, and there is none."""
    some = Coverage(0.3, 0.98, 0.98)
    seen = Figures(False, some, None, 0.0, 1.0, 1.0, 0.7, 0.0, False, False, explained=0.9)
    assert decide(seen).verdict == COMPENSATE
    assert decide(replace(seen, unshifted=500)).verdict == TRANSFER


def test_a_source_that_cannot_be_asked_is_said():
    pendulum = tr.domain("gym:Pendulum-v1")
    assert "no robot of the table" in check.physical(Pair(pendulum, pendulum), None)


@pytest.mark.slow
def test_logs_alone(tmp_path, capsys):
    """The identified simulator stands for the target, and the page says so."""
    path = written(tmp_path / "log.npz", steps("hopper:gravity=0.5", 300))
    main(["check", "hopper", "--logs", str(path), "--target-steps", "600"])
    said = capsys.readouterr().out
    assert "gravity x 0.5" in said and "The target took no step" in " ".join(said.split())
    assert "target steps taken: 0 " in said and "transreward transfer hopper hopper:gravity=0.5" in said


def test_logs_and_a_target_are_refused(tmp_path):
    path = tmp_path / "log.npz"
    np.savez(path, obs=np.zeros((3, 11)))
    for arguments in (("hopper", "hopper:gravity=2"), ("hopper",)):
        with pytest.raises(RequestError, match="not both" if len(arguments) == 2 else "wanted actions"):
            tr.check(*arguments, logs=path)
    with pytest.raises(RequestError, match="name the target"):
        tr.check("hopper")
