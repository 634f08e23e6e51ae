"""A plan is read whole or refused in one line, and a job's directory is a function of what it is asked for."""

from __future__ import annotations

import random
import tracemalloc
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

import transreward as tr
from transreward.cli.study import among, only
from transreward.methods import METHODS
from transreward.presets import restore_learner
from transreward.runs.store import SCHEMA, write_json
from transreward.study.jobs import directory, jobs_of, require_apart
from transreward.study.plan import ANYWHERE, Plan, parsed, read_plan
from transreward.study.ranges import search_of

PLANS = Path(__file__).parents[2] / "benchmarks" / "plans"
PAIR = ["inverted_pendulum", "inverted_pendulum:gravity=2"]
SMALL = {"name": "sac", "hidden": [4], "robots": 4, "batch": 16, "random_steps": 0, "steps_per_update": 4}
AGENT = {"agent": {"source_steps": 180_000, "settings": {}}}
LOOP = {"loop.eval_episodes": 1, "loop.final_episodes": 1, "loop.evaluations": 2, "loop.source_evaluations": 1}
PLAN = {
    "pairs": [PAIR],
    "methods": ["zero_shot", "fine_tune", "darc", "target_only"],
    "learner": SMALL,
    "seeds": 2,
    "source_steps": 640,
    "target_steps": 128,
    "settings": LOOP,
}


def jobs(**changed):
    return jobs_of(parsed({**PLAN, **changed}), Path("out"))


def by_name(found):
    return {job.name: job for job in found if job.method}


WRONG = {
    "": "must hold a mapping such as",
    "pairs: [": "does not parse",
    "pair: []": "unknown key of the plan 'pair': did you mean pairs?",
    "methods: [darc]": "'pairs' must be a list, such as pairs: [[hopper",
    "pairs: [[hopper, ant]]": "'methods' must be a list, such as methods: [darc",
    "pairs: []\nmethods: [darc]": "'pairs' must be a list",
    "pairs: [hopper]\nmethods: [darc]": "entry 1 of 'pairs' must be [source, target] or a mapping with both",
    "pairs: [[hopper]]\nmethods: [darc]": "entry 1 of 'pairs' must be [source, target], not 1 values",
    "pairs: [[hopper, hopper:gravity=2,mass=2]]\nmethods: [darc]": "put an id with a comma in quotes",
    "pairs: [[hopper, 3]]\nmethods: [darc]": "entry 1 of 'pairs' must have a 'target', a text of one line, not 3",
    "pairs: [{source: hopper}]\nmethods: [darc]": "must have a 'target'",
    "pairs: [{source: hopper, target: a, seed: x}]\nmethods: [darc]": "'seed' of entry 1 of 'pairs' must be a whole nu",
    "pairs: [{source: hopper, tarket: a}]\nmethods: [darc]": "key of entry 1 of 'pairs' 'tarket': did you mean target?",
    "pairs: [[a, b], [a, b]]\nmethods: [darc]": "two pairs are called 'b': give one of them a 'name'",
    "pairs: [[a, b]]\nmethods: [7]": "entry 1 of 'methods' must be a method's name or a mapping with one, not 7",
    "pairs: [[a, b]]\nmethods: [{name: x}]": "entry 1 of 'methods' must have a 'method'",
    "pairs: [[a, b]]\nmethods: [{method: darc, pairs: c}]": "unknown pair of method 'darc' 'c'",
    "pairs: [[a, b]]\nmethods: [darc]\nseeds: 0": "'seeds' of the plan must be a whole number of at least 1, not 0",
    "pairs: [[a, b]]\nmethods: [darc]\nseeds: true": "'seeds' of the plan must be a whole number of at least 1, not T",
    "pairs: [[a, b]]\nmethods: [darc]\nsettings: [1]": "'settings' of the plan must be a mapping such as",
    "pairs: [[a, b]]\nmethods: [darc]\nsettings: {a: {b: 1}}": "'a' must be a path and have a plain value or a list",
    "pairs: [[a, b]]\nmethods: [darc]\nagent: 5": "'agent' of the plan must be a mapping such as {source_steps: 3",
    "pairs: [[a, b]]\nmethods: [darc]\nagent: {steps: 5}": "key of 'agent' of the plan 'steps': did you mean source_s",
    "pairs: [[a, b]]\nmethods: [darc]\ncotrain: 3": "'cotrain' of the plan must be true or false",
    "pairs: [[a, b]]\nmethods: [{method: darc, pairs: []}]": "'pairs' of entry 1 of 'methods' is empty: name some",
    "pairs: [[a, b]]\npairs: [[a, c]]\nmethods: [darc]": "the key 'pairs' twice",
    "pairs: [[a, b], [a, c]]\nmethods: [{method: darc, pairs: b}]": "no method is run on the pair 'c': name it in",
    "pairs: [[a, b]]\nmethods: [darc]\nimports: 3": "'imports' must be a list of modules",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_plan_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "plan.yaml").write_text(text)
    with pytest.raises(tr.RequestError) as caught:
        read_plan(tmp_path / "plan.yaml")
    said = str(caught.value)
    assert WRONG[text] in said and "\n" not in said and "plan.yaml" in said


WRONG_CELLS = {
    "unknown method 'darcs': did you mean darc": {"methods": ["darcs"]},
    "zero_shot: method 'zero_shot' has no use, so 'use.strength' would change nothing": {
        "settings": {**LOOP, "use.strength": 3}
    },
    "unknown robot 'hoper': did you mean hopper": {"pairs": [["hoper", "hopper:mass=2"]]},
    "darc: use.strength must be a number, not 'much'": {
        "methods": [{"method": "darc", "settings": {"use.strength": "much"}}]
    },
    "write use.strength below the settings of that method, not darc.use.strength": {
        "methods": ["darc"],
        "settings": {**LOOP, "darc.use.strength": 3},
    },
    "raise source_steps": {"source_steps": 3},
    "raise source_steps (it counts both)": {"agent": {"source_steps": 640}},
    "is asked for twice with seed 1": {
        "methods": ["fine_tune", {"method": "fine_tune", "seed": 1, "settings": {"loop.aligned": 0}}]
    },
    "is asked for twice with other settings": {
        "methods": [{"name": "x", "method": "darc"}, {"name": "x", "method": "fine_tune", "seed": 9}]
    },
    "'inverted_pendulum' can show the last 1 to 100 commanded actions, not 101": {
        "settings": {**LOOP, "loop.history": 101}
    },
    "loop.history must be a whole number, not [1, 2]": {"settings": {**LOOP, "loop.history": [1, 2]}},
    "'fine_tune' is the name of a control": {"methods": [{"name": "fine_tune", "method": "darc"}]},
    "'agent' is of one source, and those of several train in this job": {
        "pairs": [["inverted_pendulum,inverted_pendulum:gravity=2", "inverted_pendulum:gravity=3"]],
        "methods": ["darc"],
        "agent": {"source_steps": 320},
    },
    "ask for the same run": {"methods": ["darc", {"name": "x", "method": "darc"}]},
}


def test_names_in_a_list_may_have_commas():
    known = ["hopper:gravity=0.5,mass=0.7", "light", "hopper:mass=2"]
    assert among("hopper:gravity=0.5,mass=0.7,light", known) == known[:2]
    assert among("light, hopper:mass=2", known) == ["light", "hopper:mass=2"]
    assert among("lite,light", known) == ["lite", "light"]


@pytest.mark.parametrize("why", WRONG_CELLS)
def test_a_wrong_cell_is_refused_before_anything_runs(why):
    with pytest.raises(tr.RequestError) as caught:
        jobs(**WRONG_CELLS[why])
    said = str(caught.value)
    assert why in said and "`" not in said and "\n" not in said


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(
    st.one_of(
        anything,
        st.lists(st.sampled_from(PAIR), max_size=3),
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("source", "target", "method", "name"), st.sampled_from(PAIR) | anything)
        ),
    ),
    max_size=3,
)
plans = st.fixed_dictionaries(
    {}, optional={"pairs": rows | anything, "methods": rows | anything, **dict.fromkeys(ANYWHERE, anything)}
)


@given(plans | anything)
@example({"\n": None})
@example({"pairs": [["a", "b"]], "methods": [{"method": "c", "pairs": "\n"}]})
@example({"pairs": [["a", "b"]], "methods": ["c"], "settings": {"\n": {}}})
@settings(max_examples=100, deadline=None)
def test_whatever_a_plan_says_is_read_or_refused_in_one_line(tmp_path_factory, value):
    file = tmp_path_factory.getbasetemp() / "some.yaml"
    file.write_text(yaml.safe_dump(value))
    try:
        assert isinstance(read_plan(file), Plan)
    except tr.RequestError as error:
        assert "\n" not in str(error) and len(str(error)) < 1_000


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_whatever_a_file_holds_is_refused_in_one_line(tmp_path_factory, content):
    file = tmp_path_factory.getbasetemp() / "bytes.yaml"
    file.write_bytes(content)
    with pytest.raises(tr.RequestError):
        read_plan(file)


def shuffled(value, rng):
    """The same with the keys of every mapping in another order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key], rng) for key in rng.sample(list(value), len(value))}
    return [shuffled(x, rng) for x in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(3))
def test_a_directory_does_not_depend_on_the_order_of_keys(seed):
    wanted = [job.place for job in jobs()]
    assert [job.place for job in jobs_of(parsed(shuffled(PLAN, random.Random(seed))), Path("out"))] == wanted


def test_nor_on_names_on_how_numbers_are_written_or_on_other_methods():
    first = by_name(jobs())
    named = {"source": PAIR[0], "target": PAIR[1], "name": "heavier"}
    written = {**LOOP, "loop.evaluations": "2"}
    changed = by_name(jobs(pairs=[named], seeds="2", settings=written, methods=["darc", "mix", "zero_shot"]))
    for method in ("darc", "zero_shot"):
        assert changed[f"heavier, {method}"].place == first[f"{PAIR[1]}, {method}"].place


def test_directories_keep_their_names():
    """From version to version, or a study would begin anew: what this job is asked for is written out here."""
    request = {"source": "a", "target": "b:c=2", "method": "mix", "source_steps": 5, "settings": {"x.y": 1.0, "z": [2]}}
    assert directory({**request, "cotrain": None}) == directory(request) == "b-c-2-mix-fede1022"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_plans_of_the_benchmarks_are_read(path):
    plan = read_plan(path)
    assert plan.pairs and plan.methods


@pytest.mark.slow
@pytest.mark.filterwarnings("default:across a bridge")
@pytest.mark.parametrize("path", sorted(PLANS.glob("*.yaml")), ids=lambda path: path.stem)
def test_plans_of_the_benchmarks_can_be_run(path, monkeypatch):
    monkeypatch.chdir(PLANS.parents[1])
    rows = dict(METHODS)
    assert jobs_of(read_plan(path), Path("out"))
    for name in set(METHODS) - set(rows):  # which a plan's module has added
        del METHODS[name]


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"target_steps": 64}, {"source_steps": 700}, {"settings": {**LOOP, "loop.aligned": 0}},
     {"pairs": [[PAIR[0], "inverted_pendulum:gravity=3"]]}, {"learner": {**SMALL, "batch": 8}}],
    ids=str,
)  # fmt: skip
def test_another_request_has_another_directory(change):
    first, other = jobs(methods=["fine_tune"]), jobs(methods=["fine_tune"], **change)
    assert first[-1].place != other[-1].place


def test_what_a_row_becomes_is_said_once_for_a_plan():
    legs = [["halfcheetah", f"halfcheetah:{body}"] for body in ("legs=3", "without=ffoot")]
    with pytest.warns(UserWarning, match="across a bridge 'auto' does as 'fine_tune' does") as said:
        assert jobs(pairs=legs, methods=["auto"])
    assert len(said) == 1


def test_a_source_agent_is_a_job_that_is_shared():
    """By all that start from as many steps of one source, whatever the target; what starts from nothing has none."""
    found = jobs(pairs=[PAIR, ["inverted_pendulum", "inverted_pendulum:mass=2"]])
    agents = [job for job in found if not job.method]
    assert [job.request["source_steps"] for job in agents] == [640, 384]  # darc goes on in the source
    assert {job.request["method"] for job in agents} == {"zero_shot"}
    for job in found:
        own = job.request["method"] == "target_only" or not job.method
        assert (job.agent is None) == own
        assert job.agent is None or found.index(job.agent) < found.index(job)
        assert job.agent is None or ("--source-run" in job.command() and str(job.agent.place) in job.command())


def test_one_agent_crosses_every_bridge_that_a_plan_names():
    plan = parsed(
        {
            "pairs": [["halfcheetah", "halfcheetah:legs=3"]],
            "methods": ["zero_shot", {"method": "zero_shot", "name": "shuffled", "bridge": "shuffled(named)"}],
            "learner": "sac",
            "source_steps": 20_000,
            "target_steps": 5_000,
        }
    )
    agent, plain, shuffled = jobs_of(plan, Path("runs"))
    assert plain.agent == agent == shuffled.agent and not agent.method
    assert "--bridge" not in plain.command()
    assert shuffled.command()[shuffled.command().index("--bridge") + 1] == "shuffled(named)"


def test_settings_of_agents_that_are_trained_on_are_not_the_source_agents():
    """So that rows that differ in them start from one."""
    slow = {"name": "slow", "method": "fine_tune", "settings": {"learner.actor_rate": 1e-5, "learner.policy_delay": 2}}
    one, other = by_name(jobs(methods=["fine_tune", slow])).values()
    assert one.agent == other.agent and one.place != other.place
    assert not {"learner.actor_rate", "learner.policy_delay"} & set(other.agent.request["settings"])


def test_limits_of_simulations_are_those_of_source_agents_too():
    """Or a plan that permits robots to diverge, or a slow robot, would fail in the source agent's job."""
    limits = {"loop.diverged": 0.5, "loop.patience": 0.0}
    agent, _ = jobs(methods=["fine_tune"], settings={**LOOP, **limits, "loop.aligned": 0})
    assert agent.request["settings"].items() >= limits.items() and "loop.aligned" not in agent.request["settings"]
    assert "loop.diverged=0.5" in agent.command()


def test_all_start_from_one_agent_where_the_plan_says_what_it_has():
    found = jobs(agent={"source_steps": 400, "settings": {"learner.steps_per_update": 2}}, methods=["darc", "mix",
                 "fine_tune", "oracle"])  # fmt: skip
    (agent,) = [job for job in found if not job.method]
    assert (agent.request["source_steps"], agent.request["settings"]["learner.steps_per_update"]) == (400, 2.0)
    steps = {job.method: job.request["source_steps"] for job in found if job.method}
    assert steps == {"darc": 640, "mix": 640, "fine_tune": 400, "oracle": 400}
    pace = {job.method: job.request["settings"]["learner.steps_per_update"] for job in found if job.method}
    assert pace == {"darc": 4.0, "mix": 4.0, "fine_tune": 4.0, "oracle": 2.0}  # which trains as the agent does


def test_a_methods_word_counts_more_than_a_pairs_and_a_pairs_more_than_the_plans():
    pair = {"source": PAIR[0], "target": PAIR[1], "seeds": 4, "settings": {"loop.aligned": 0.5}}
    method = {"method": "fine_tune", "name": "own", "seeds": 5, "settings": {"loop.aligned": 0.2}}
    found = by_name(jobs(pairs=[pair], methods=["fine_tune", method]))
    plain, own = found[f"{PAIR[1]}, fine_tune"].request, found[f"{PAIR[1]}, own"].request
    assert (plain["seeds"], plain["settings"]["loop.aligned"], plain["target_steps"]) == (4, 0.5, 128)
    assert (own["seeds"], own["settings"]["loop.aligned"], own["target_steps"]) == (5, 0.2, 128)


def test_a_method_is_run_on_the_pairs_that_it_names():
    pairs = [{"source": PAIR[0], "target": f"{PAIR[0]}:mass={m}", "name": f"mass-{m}"} for m in (2, 3)] + [PAIR]
    found = by_name(jobs(pairs=pairs, methods=["target_only", {"method": "oracle", "pairs": ["mass-*"]}]))
    assert [name for name in found if "oracle" in name] == ["mass-2, oracle", "mass-3, oracle"]


def test_a_pair_whose_id_has_a_pattern_is_meant_by_its_name():
    """[bf] is one letter of two to a pattern, and no name has it then."""
    names = ["halfcheetah:mass([bf]thigh)=2", "halfcheetah:gravity=2", "halfcheetah:gravity=3"]
    plan = {"pairs": [["halfcheetah", name] for name in names], "learner": "sac",
            "methods": ["zero_shot", {"method": "target_only", "pairs": names[0]}]}  # fmt: skip
    found = by_name(jobs_of(parsed(plan), Path("out")))
    assert [name for name in found if "target_only" in name] == [f"{names[0]}, target_only"]
    search = {"method": "target_only", "settings": {"learner.batch": [8, 16]}, "trials": 2, "pairs": names[0]}
    assert search_of(parsed({**plan, "search": search})).pairs == (names[0],)


def test_without_a_learner_all_methods_of_a_pair_have_the_same():
    plain = {key: value for key, value in PLAN.items() if key not in ("learner", "source_steps", "target_steps")}
    for methods, learner in ((["darc", "fine_tune"], "ppo"), (["darc", "fine_tune", "mix"], "sac")):
        found = jobs_of(parsed({**plain, "methods": methods}), Path("out"))
        assert {job.request["learner"] for job in found} == {learner}


TARGETS = [["inverted_pendulum", f"inverted_pendulum:gear=0.8,mass={m}"] for m in (2, 3, 4)]


def test_a_plan_that_shares_starts_each_target_from_what_those_before_it_found():
    methods = [{"method": "identified", "name": "alone", "share": False}, "identified", "zero_shot"]
    asked = {"methods": methods, "source_steps": 5000, "target_steps": 300, "share": True}
    found = by_name(jobs(pairs=TARGETS, **asked))
    first, second, third = (found[f"{target}, identified"] for _, target in TARGETS)
    assert (first.known, second.known, third.known) == ((), (first,), (first, second))
    assert third.before == (third.agent, first, second)
    assert f"ground.known={first.place},{second.place}" in third.command()
    assert f"ground.known={second.place}" in third.command([second])
    assert not any("ground.known" in word for word in third.command([]))
    others = [job for job in found.values() if job.method != "identified"]
    assert not any(job.known for job in others) and len({job.place for job in found.values()}) == len(found)
    assert found[f"{TARGETS[2][1]}, alone"].place != third.place


def test_a_part_of_a_plan_has_all_that_it_starts_from():
    """Also the source agents of the targets before it, for which it would wait without end."""
    pairs = [{"source": s, "target": t, "source_steps": 5000 + 1000 * i} for i, (s, t) in enumerate(TARGETS)]
    every = jobs(pairs=pairs, methods=["identified"], target_steps=300, share=True)
    assert len(every) == 6 and only(every, TARGETS[2][1], None) == every
    assert only(every, TARGETS[1][1], None) == every[:4] and only(every, TARGETS[0][1], None) == every[:2]


def test_the_study_of_the_tutorial_has_the_source_agents_that_it_speaks_of():
    text = (PLANS.parents[1] / "docs" / "tutorials" / "a-study.md").read_text()
    plan = parsed(yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0]))
    found, same = (jobs_of(one, Path("out")) for one in (plan, replace(plan, asked=plan.asked | AGENT)))
    places = {job.method: job.agent.place for job in found if job.agent is not None}
    assert places["zero_shot"] == places["fine_tune"] and len({*places.values()}) == 3
    assert len([job for job in found if not job.method]) == 3  # for both pairs
    assert len([job for job in same if not job.method]) == 1


@pytest.fixture
def earlier_run(tmp_path):
    """What a run says of a source agent of seeds 0 and 1 and 640 steps."""
    about = {
        "source": PAIR[0],
        "learner": {"name": "sac", **asdict(restore_learner(SMALL))},
        "seeds": [0, 1],
        "steps": 640,
        "evaluation_steps": [0, 0],
    }
    (tmp_path / "source").mkdir()
    write_json(tmp_path / "source" / "agent.json", {"schema": SCHEMA, "versions": {}, **about})
    return str(tmp_path)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seed": 4}, "fine_tune: source_run {run} has the seeds [0, 1]: ask for the same, not [4, 5]"),
        ({"pairs": [["hopper", "hopper:mass=2"]]}, "was trained in 'inverted_pendulum', not in 'hopper'"),
        ({"methods": ["darc"]}, "the source run took 640 steps of a source budget of 640, so nothing is left"),
    ],
    ids=["seeds", "source", "budget"],
)
def test_a_source_run_that_cannot_be_taken_up_is_refused_before_anything_runs(earlier_run, changed, why):
    asked = {"methods": ["fine_tune"], "learner": None, "source_run": earlier_run}
    assert len(jobs(**asked)) == 1
    with pytest.raises(tr.RequestError) as caught:
        jobs(**{**asked, **changed})
    assert why.format(run=earlier_run) in str(caught.value)


def test_seeds_that_are_asked_for_twice_are_found_without_counting_them_up():
    """A number of seeds that was meant for steps took all memory there is."""
    many, later = ({"method": "target_only", "seed": seed, "seeds": 10**6} for seed in (0, 10**6))
    found = jobs(methods=[many, later])
    tracemalloc.start()
    require_apart(found)
    assert tracemalloc.get_traced_memory()[1] < 10**6  # bytes; a set of them takes a hundred times as many
    tracemalloc.stop()
    for seed in (0, 10**6 - 1):
        with pytest.raises(tr.RequestError, match=f"is asked for twice with seed {seed}: give"):
            jobs(methods=[many, {**later, "seed": seed}])
