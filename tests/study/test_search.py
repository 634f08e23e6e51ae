"""A search spends what its budget has paid, goes on where it was, and reports on other pairs than it searched on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from study.test_plan import PLAN
from study.test_run import finished, refused

import transreward as tr
from transreward import cli
from transreward.study import search as module
from transreward.study.plan import parsed
from transreward.study.ranges import Range, search_of
from transreward.types import RequestError

PAIRS = [["inverted_pendulum", f"inverted_pendulum:gravity={factor}"] for factor in (1.5, 2, 3)]
SEARCH = {
    "method": "darc",
    "settings": {"use.strength": {"low": 0.5, "high": 8, "log": True}, "gap.hidden": {"low": 4, "high": 8}},
    "trials": 4,
    "pairs": [PAIRS[0][1], PAIRS[1][1]],
}
WHOLE = {**PLAN, "pairs": PAIRS, "methods": ["zero_shot", "darc"], "search": SEARCH}


def changed(**more):
    return {**WHOLE, "search": {**SEARCH, "settings": {"use.strength": SEARCH["settings"]["use.strength"]}, **more}}


WRONG = [
    ({}, "the plan has no 'search'"),
    ({"method": "par"}, "unknown method of 'search' 'par'"),
    ({"pairs": ["hopper"]}, "unknown pair of 'search' 'hopper'"),
    ({"pairs": ["*"]}, "leave others to report on"),
    ({"pairs": []}, "leave others to report on"),
    ({"trials": 1}, "'trials' of 'search' must be a whole number of at least 2"),
    ({"trials": 10**6}, "at most 1,000"),
    ({"settings": {}}, "must be a mapping such as"),
    ({"settings": {"use.strength": 3}}, "must be a list, or a range"),
    ({"settings": {"use.strength": [3]}}, "two or more plain values"),
    ({"settings": {"use.strength": {"low": 2, "high": 1}}}, "must rise from 'low' to 'high'"),
    ({"settings": {"use.strength": {"low": 0, "high": 1, "log": True}}}, "be above 0 where 'log'"),
    ({"settings": {"use.strength": {"low": "a", "high": 1}}}, "must have numbers as 'low' and 'high'"),
    ({"settings": {"use.strength": {"lo": 1}}}, "did you mean log"),
    ({"budget": 3}, "unknown key of 'search' 'budget'"),
]


def test_a_dry_run_counts_the_jobs_of_a_trial_and_those_on_the_other_pairs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "require_optuna", lambda: None)
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(changed()))
    cli.main(["study", str(tmp_path / "plan.yaml"), "--search", "--dry-run", "--out", str(tmp_path / "out")])
    lines = capsys.readouterr().out.splitlines()
    trial, rest = (i for i, line in enumerate(lines) if line.startswith("#"))
    assert lines[trial] == f"# the first of 4 trials of 2 jobs, on {', '.join(SEARCH['pairs'])}"
    assert lines[rest] == f"# {rest - trial - 1} jobs on the other pairs, and darc with what is chosen"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("more", "why"), WRONG, ids=[why for _, why in WRONG])
def test_a_search_that_is_asked_for_wrongly(more, why):
    plan = parsed(changed(**more) if more else {**WHOLE, "search": None})
    with pytest.raises(RequestError, match=None) as caught:
        search_of(plan)
    assert why in str(caught.value) and "\n" not in str(caught.value)


def test_a_setting_that_the_method_does_not_take_is_refused_before_anything_runs(tmp_path):
    plan = parsed(changed(settings={"use.strenth": [1, 2]}))
    with pytest.raises(RequestError, match="strenth"):
        module.checked(plan, search_of(plan), tmp_path)


def test_gains_have_no_scale():
    """By hand; the pair whose rewards are a thousand times as large counts no more."""
    first = {"a": [10.0, 10.0], "b": [-2_000.0, -2_000.0]}
    assert module.gain(first, first) == 0
    assert module.gain({"a": [30.0, 30.0], "b": [-1_000.0, -1_000.0]}, first) == pytest.approx((20 / 40 + 1 / 3) / 2)
    assert module.gain({"a": [0.0], "b": [0.0]}, {"a": [0.0], "b": [0.0]}) == 0


@pytest.fixture
def peak():
    """In place of running them: jobs whose return has its maximum at a strength of 2."""
    pytest.importorskip("optuna", reason="needs Optuna: pip install 'transreward[search]'")
    ran = []

    def go(title, jobs):
        for job in jobs:
            if not job.done:
                ran.append(job)
                strength = job.request["settings"].get("use.strength", 8.0)
                finished(
                    job,
                    [100 - 10 * abs(strength - 2)] * job.request["seeds"],
                    ("inverted_pendulum", job.request["target"]),
                )
        return {}

    return go, ran


def test_the_best_setting_is_found_and_no_step_is_free(tmp_path, monkeypatch, peak):
    monkeypatch.chdir(tmp_path)
    go, ran = peak
    plan = parsed(changed(trials=12))
    search = search_of(plan)
    Path("out").mkdir()
    trials, best = module.searched(plan, search, Path("out"), go)
    assert trials[0].settings == {} and trials[0].score == 0 and len(trials) == 12
    assert abs(best.settings["use.strength"] - 2) < 1 and best.score > 0.3
    assert all(job.request["settings"]["loop.eval_target"] == "training" for job in ran if job.method)
    assert {job.pair for job in ran if job.method} == set(SEARCH["pairs"])
    # 12 trials, two pairs, two seeds: 128 steps each
    assert module.spent(trials)["target"] == 12 * 2 * 2 * 128
    agents = [job for job in ran if not job.method]
    assert module.spent(trials)["source"] == len(agents) * 2 * 640 and len(agents) == 1
    assert json.loads(Path("out/search.json").read_text())["best"] == best.number


def test_a_search_that_was_interrupted_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, peak):
    monkeypatch.chdir(tmp_path)
    go, ran = peak
    plan = parsed(changed(trials=5))
    search = search_of(plan)
    for name in ("whole", "parts"):
        Path(name).mkdir()
    whole, _ = module.searched(plan, search, Path("whole"), go)

    def stops(title, jobs):
        if title.startswith("trial 3"):
            raise KeyboardInterrupt
        return go(title, jobs)

    with pytest.raises(KeyboardInterrupt):
        module.searched(plan, search, Path("parts"), stops)
    before = len(ran)
    again, _ = module.searched(plan, search, Path("parts"), go)
    assert again == whole and len(ran) - before == 2 * 2  # the two trials that were missing, on two pairs
    longer = {**changed(trials=9), "target_steps": 256}  # its trials would be suggested after the returns of others
    for other in (changed(pairs=[PAIRS[2][1]]), longer):
        with pytest.raises(RequestError, match="another search"):
            same_search(Path("parts"), parsed(other))
    same_search(Path("parts"), parsed(changed(trials=9)))


def test_later_trials_stay_where_an_earlier_one_is_run_again_and_interrupted(tmp_path, monkeypatch, peak):
    """Its job failed at first. Suggestions that knew its return would be others, and all of them run anew."""
    monkeypatch.chdir(tmp_path)
    go, ran = peak
    plan = parsed(changed(trials=6))
    search, out = search_of(plan), Path("out")
    out.mkdir()

    def instead(number, do):
        return lambda title, jobs: do(jobs) if title.startswith(f"trial {number}") else go(title, jobs)

    def stop(jobs):
        raise KeyboardInterrupt

    first, _ = module.searched(plan, search, out, instead(2, lambda jobs: {jobs[-1].place: "it went wrong"}))
    with pytest.raises(KeyboardInterrupt):
        module.searched(plan, search, out, instead(2, stop))
    assert module.read(out) == first
    before = len(ran)
    again, _ = module.searched(plan, search, out, go)
    assert [one.settings for one in again] == [one.settings for one in first] and again[2].score is not None
    assert len(ran) - before == 2  # the trial that failed, on two pairs
    shorter = search_of(parsed(changed(trials=3)))
    assert len(module.searched(plan, shorter, out, go)[0]) == len(module.read(out)) == 3


def same_search(out, plan):
    module.require_same(out, plan, module.trial_jobs(plan, search_of(plan), {}, out))


def test_a_value_that_is_refused_between_the_ends_is_a_trial_without_a_gain(tmp_path, monkeypatch, peak):
    """The next suggestion would be the same each time, so that the search would end there for ever."""
    monkeypatch.chdir(tmp_path)
    told, go = {}, peak[0]

    def tell(title, jobs):
        told[title] = jobs
        return go(title, jobs)

    plan = parsed({**changed(trials=6, settings={"learner.policy_delay": {"low": 1, "high": 4}}),
                   "learner": {**PLAN["learner"], "burst": 4}})  # fmt: skip
    search = search_of(plan)
    Path("out").mkdir()
    module.checked(plan, search, Path("out"))
    trials, _ = module.searched(plan, search, Path("out"), tell)
    (refused_one,) = [one for one in trials if one.settings == {"learner.policy_delay": 3}]
    assert refused_one.score is None and not any(refused_one.steps.values()) and len(trials) == 6
    (title,) = [title for title, jobs in told.items() if not jobs]
    assert "refused: inverted_pendulum:gravity=1.5, darc: learner.policy_delay must divide learner.burst" in title


def test_steps_of_a_setting_that_comes_twice_are_counted_once(tmp_path, monkeypatch, peak):
    monkeypatch.chdir(tmp_path)
    go, ran = peak
    plan = parsed(changed(trials=5, settings={"use.strength": [2, 4]}))
    Path("out").mkdir()
    trials, _ = module.searched(plan, search_of(plan), Path("out"), go)
    assert len({str(one.settings) for one in trials}) == 3  # as it is, 2 and 4
    assert module.spent(trials)["target"] == 128 * 2 * len([job for job in ran if job.method]) == 128 * 2 * 2 * 3


def test_what_the_other_pairs_do_not_take_is_refused_before_anything_runs():
    """The name of the row with what is chosen, and a setting of a learner that one of them has not."""
    named = {"name": "darc_searched", "method": "darc", "settings": {"use.strength": 3}}
    own = {"source": PAIRS[2][0], "target": PAIRS[2][1], "learner": "ppo", "source_steps": 300_000}
    ppo = {**changed(settings={"learner.polyak": [0.1, 0.2]}), "pairs": [*PAIRS[:2], {**own, "target_steps": 20_000}]}
    ppo["pairs"][:2] = [{"source": a, "target": b, "learner": PLAN["learner"]} for a, b in PAIRS[:2]]
    del ppo["learner"]
    for plan, why in (
        ({**changed(), "methods": ["zero_shot", "darc", named]}, "darc_searched is asked for twice"),
        (ppo, "darc_searched: learner.polyak is a setting of sac, not of ppo"),
    ):
        with pytest.raises(RequestError, match=why):
            module.checked(parsed(plan), search_of(parsed(plan)), Path("out"))


def test_settings_are_searched_with_the_learner_that_they_are_reported_with():
    """Beside a method that needs stored steps a pair's learner is sac, also where that method is not searched."""
    plan = {key: value for key, value in changed(settings={"use.strength": [2, 4]}).items() if key != "learner"}
    plan |= {"methods": ["darc", "mix"], "source_steps": 100_000, "target_steps": 20_000}
    plan["pairs"] = [["hopper", f"hopper:gravity={factor}"] for factor in (0.5, 0.7, 1.5)]
    plan["search"]["pairs"] = ["hopper:gravity=0.5"]
    found = parsed(plan)
    tried = module.trial_jobs(found, search_of(found), {"use.strength": 2}, Path("out"))
    reported = module.reported(found, search_of(found), {"use.strength": 2}, Path("out"))
    assert {job.request["learner"] for job in (*tried, *reported)} == {"sac"}
    assert {job.method for job in tried} == {"", "darc"}


def test_what_is_chosen_may_be_a_row_of_the_plan():
    plan = parsed({**changed(), "methods": ["zero_shot", "darc", {"name": "strong", "method": "darc",
                   "settings": {"use.strength": 3}}]})  # fmt: skip
    jobs = module.reported(plan, search_of(plan), {"use.strength": 3.0}, Path("out"))
    assert [job.method for job in jobs if job.method] == ["zero_shot", "darc", "strong"]


def test_what_is_chosen_is_a_row_of_its_own_on_the_other_pairs():
    plan = parsed(changed())
    jobs = [job for job in module.reported(plan, search_of(plan), {"use.strength": 3.0}, Path("out")) if job.method]
    assert {job.pair for job in jobs} == {PAIRS[2][1]}
    assert [job.method for job in jobs] == ["zero_shot", "darc", "darc_searched"]
    assert jobs[2].request["settings"]["use.strength"] == 3.0 and "loop.eval_target" not in jobs[2].request["settings"]
    assert "darc_searched" not in [job.method for job in module.reported(plan, search_of(plan), {}, Path("out"))]


def test_whole_numbers_stay_whole_and_settings_can_be_typed():
    assert Range(4, 8).whole and not Range(4.0, 8).whole
    assert module._rounded(1 / 3, Range(0.1, 1)) == 0.3333 and module._rounded(0.99999, Range(0.1, 0.9999)) == 0.9999


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    Path("plan.yaml").write_text(yaml.safe_dump(changed()))
    assert "pip install 'transreward[search]'" in refused(capsys, "plan.yaml", "--search")
    assert "leave --pairs" in refused(capsys, "plan.yaml", "--search", "--pairs", "x")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"of": None},
        {"pairs": 3},
        {"trials": [{"number": 0}]},
        {"trials": [{"number": 0, "settings": {}, "score": None, "returns": {}, "steps": {}}]},
    ],
)
def test_a_damaged_search_is_refused_in_one_line(tmp_path, changes):
    steps = dict.fromkeys(("target", "evaluation", "source"), 1)
    trial = {"number": 0, "settings": {}, "score": 0.0, "returns": {"a": [1.0]}, "steps": steps}
    whole = {"of": 2, "method": "darc", "pairs": ["a"], "trials": [trial]}
    (tmp_path / "search.json").write_text(json.dumps(whole))
    said = module.about(tmp_path)
    assert said is not None and said["said"].startswith("search: 1 of 2 trials of darc on a")
    (tmp_path / "search.json").write_text(json.dumps(whole | changes))
    with pytest.raises(RequestError, match="is damaged: remove it, and the search begins again"):
        module.about(tmp_path)


@pytest.mark.slow
def test_a_real_search(tmp_path, monkeypatch, capsys):
    """Two trials on one pair, and the report on another. No step is taken in the target to evaluate a trial."""
    pytest.importorskip("optuna", reason="needs Optuna: pip install 'transreward[search]'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(tr.__file__).parents[1]))
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    plan = {**changed(trials=2, pairs=[PAIRS[0][1]]), "pairs": PAIRS[:2], "target_steps": 256}
    Path("plan.yaml").write_text(yaml.safe_dump(plan))
    command = [sys.executable, "-m", "transreward", "study", "plan.yaml", "--search", "--jobs", "2", "--out", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "best of 2: trial" in done.stdout and "search: 2 of 2 trials of darc" in done.stdout
    found = json.loads(Path("out/search.json").read_text())
    assert found["steps"]["evaluation"] == 0 and found["steps"]["target"] == 2 * 2 * 256
    assert "Search" in Path("out/report.html").read_text()
    cli.main(["study", "plan.yaml", "--search", "--out", "out"])  # all is done
    assert "search: 2 of 2 trials" in capsys.readouterr().out


def test_the_search_of_the_documents_is_one_of_their_plan():
    text = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()
    plan, search = (yaml.safe_load(block.partition("```")[0]) for block in text.split("```yaml\n")[1:3])
    found = search_of(parsed({**plan, **search}))
    assert found.pairs == ("hopper:gravity=0.5", "slippery") and found.trials == 20
