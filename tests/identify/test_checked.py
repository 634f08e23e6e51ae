"""`check` says what differs physically, by the steps that it takes anyway, or by logs alone."""

import numpy as np
import pytest
from test_request import steps, written

import transreward as tr
from transreward.cli.main import main
from transreward.preflight import check
from transreward.preflight.verdict import TRANSFER
from transreward.types import Pair, RequestError


@pytest.mark.parametrize(
    ("target", "id"), [("hopper:gravity=0.5", "hopper:gravity=0.5"), ("gym:Hopper-v5", "hopper")], ids=["table", "gym"]
)
def test_it_takes_no_further_step(monkeypatch, target, id):
    """Nothing of the target is simulated once the figures have been taken."""
    physical, taken = check.physical, []

    def watched(pair, *rest):
        monkeypatch.setattr(pair.target, "simulate", lambda *_: taken.append(1))
        return physical(pair, *rest)

    monkeypatch.setattr(check, "physical", watched)
    one = tr.check("hopper", target, target_steps=600)
    assert not taken and one.target_steps <= 600
    assert one.identification.id == id and not one.identification.remains
    assert one.as_json()["identification"]["id"] == id
    # where models judge, what the source's own simulator says counts more
    assert target.startswith("hopper") or one.verdict.verdict == TRANSFER


def test_a_source_that_cannot_be_asked_is_said():
    pendulum = tr.domain("gym:Pendulum-v1")
    assert "no robot of the table" in check.physical(Pair(pendulum, pendulum), None)


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
