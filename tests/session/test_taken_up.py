"""A session's folder that was copied by halves."""

from __future__ import annotations

import pytest

from transreward.runs import store
from transreward.session.learner import ABOUT, FOLDER, REQUEST
from transreward.session.session import Session
from transreward.transfer import planned, requested
from transreward.types import RequestError

WHOLE = {"robots": 1, "low": None, "high": None, "change": None, "background": True, "counts": {}, "safety": {}}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (REQUEST, None, "has no request.json"), (REQUEST, '{"a": ', "is not JSON"), (ABOUT, '{"schema"', "is not JSON"),
        (ABOUT, "[1]", "must hold a JSON object"), (ABOUT, '{"schema": 1}', "has no 'robots', as if it was cut"),
    ],
)  # fmt: skip
def test_half_a_folder_is_refused_in_one_line(tmp_path, name, text, words):
    folder, pole = tmp_path / FOLDER, "inverted_pendulum"
    folder.mkdir()
    config = planned(pole, f"asked:{pole}", "fine_tune", learner="sac", settings={"loop.eval_target": "training"})
    store.write_json(folder / REQUEST, requested(config, "sac", {"loop.eval_target": "training"}, ()))
    store.write_json(folder / ABOUT, {"schema": store.SCHEMA, **WHOLE})
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    with pytest.raises(RequestError, match=words) as caught:
        Session.resume(tmp_path)
    assert "\n" not in str(caught.value) and not (folder / "steps.journal").exists()
