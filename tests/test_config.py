"""From a request to settings: what is typed in is understood or refused with the nearest names, never ignored."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import yaml

import transreward as tr
from transreward import cli, presets
from transreward.domains.ids import domain
from transreward.domains.logs import recorded
from transreward.domains.names import entry_names
from transreward.domains.robots import ROBOTS
from transreward.engine.programs import programs
from transreward.feed import Feed
from transreward.gates.chain import Gate
from transreward.learners.ppo import PPO
from transreward.learners.sac import SAC
from transreward.methods import METHODS
from transreward.reports.repeat import repeat
from transreward.request import resolve as resolving
from transreward.request.budgets import conversion_steps, require_steps_left
from transreward.request.files import read_config
from transreward.request.learner import for_method
from transreward.request.loop import Loop
from transreward.request.resolve import resolve
from transreward.request.settings import apply_settings
from transreward.row import SECTIONS
from transreward.runs.record import Record
from transreward.types import Spaces
from transreward.uses.penalty import Penalty

PAIR = ("inverted_pendulum", "inverted_pendulum:gravity=2")


@pytest.fixture(scope="module", autouse=True)
def measured_once():
    """The measurement of a pair takes longer than all the rest of a request."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorded, "domain", lru_cache(recorded.domain))
        patch.setattr(resolving, "require_difference", lru_cache(resolving.require_difference))
        yield


def ask(method="darc", source=PAIR[0], target=PAIR[1], **request):
    """A request with what the command line leaves at its defaults."""
    usual = {"learner": None, "source_steps": None, "target_steps": None, "seeds": 3, "seed": 0, "settings": {}}
    return resolve(source, target, method, **{**usual, "controls": (), "source_run": None, **request})


def parts(method="darc", learner="sac"):
    row = METHODS[method]
    return {"learner": presets.LEARNERS[learner](), "loop": Loop(), **{name: getattr(row, name) for name in SECTIONS}}


# -- settings ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("use.strength", "0.5", 0.5),
        ("use.strength", "2", 2.0),
        ("use.strength", 2, 2.0),
        ("learner.learning_rate", "3e-4", 3e-4),
        ("learner.robots", "16", 16),
        ("learner.random_steps", "1_000", 1000),
        ("learner.target_entropy", "-0.5", -0.5),
        ("learner.hidden", "32,16", (32, 16)),
        ("learner.hidden", "(32, 16)", (32, 16)),
        ("learner.hidden", "32", (32,)),
        ("learner.hidden", "(32,)", (32,)),
        ("learner.hidden", [32, 16], (32, 16)),
        ("gap.hidden", (8,), (8,)),
        ("gate.centre", "false", False),
        ("gate.centre", "True", True),
        ("gate.scale", "0", False),
        ("gate.scale", True, True),
        ("loop.threads", "2", 2),
        ("loop.pretrain", 1, 1.0),
    ],
)
def test_a_value_gets_the_type_of_its_field(path, text, value):
    section, name = path.split(".")
    found = getattr(apply_settings(parts(), {path: text}, METHODS["darc"])[section], name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("use.strength", "much", "use.strength must be a number, not 'much'"),
        ("use.strength", True, "must be a number"),
        ("use.strength", "nan", "must be a number"),
        ("use.strength", "inf", "must be a number"),
        ("use.strength", "-1", "must not be negative"),
        ("use.strength", None, "must be a number"),
        ("learner.robots", "1.5", "must be a whole number"),
        ("learner.robots", 1.5, "must be a whole number"),
        ("learner.robots", True, "must be a whole number"),
        ("learner.robots", "0", "learner.robots must be at least 1"),
        ("learner.hidden", "a,b", "must be numbers such as 64,64"),
        ("learner.hidden", 64, "must be numbers such as 64,64"),
        ("learner.hidden", "", "at least one"),
        ("learner.hidden", "8,0", "at least one"),
        ("learner.hidden", [8, 1.5], "must be numbers such as 64,64"),
        ("gap.hidden", "8,-1", "at least one"),
        ("gate.centre", "maybe", "must be true or false"),
        ("gate.centre", 1, "must be true or false"),
        ("gate.clip", "0", "gate.clip must be above 0"),
        ("gate.ramp", "1000", "not 1000: earlier versions counted a gap's updates here, so write gate.ramp=0.1"),
        ("gate.ramp", 250, "earlier versions counted"),
        ("gate.ramp", "-1", "must be in [0, 1], not -1"),
        ("loop.pretrain", "0", "loop.pretrain must be in"),
        ("loop.evaluations", "0", "loop.evaluations must be at least 1"),
        ("loop.aligned", "2", "loop.aligned"),
        ("loop.updates", "many", "loop.updates must be equal or paced"),
        ("loop.gap_every", "0", "loop.gap_every must be at least 1"),
        ("loop.target_returns", "3,3", "a random policy's and a trained one's that is above it"),
        ("loop.target_returns", "5,-3", "a random policy's and a trained one's that is above it"),
        ("loop.target_returns", "5", "loop.target_returns must be two returns"),
        ("loop.source_returns", "1,2", "give both"),
        ("loop.target_returns", "-inf,5", "loop.target_returns"),
        ("loop.gap_updates", "0", "gap_updates"),
    ],
)
def test_a_value_that_cannot_be_is_refused(path, value, why):
    with pytest.raises(tr.RequestError) as caught:
        ask(settings={path: value}, learner="sac")
    assert why in str(caught.value) and path.partition(".")[2] in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "number"), [("1e4", 10_000), ("10_000", 10_000), ("10,000", 10_000), ("1.5e3", 1500), ("-3", -3)]
)
def test_a_whole_number_is_read_as_it_is_written(tmp_path, text, number):
    """On the command line, in a setting and in a config file."""
    options = cli.parser().parse_args(["transfer", f"--target-steps={text}"])
    (tmp_path / "run.yaml").write_text(f"target_steps: {text}")
    assert options.target_steps == read_config(tmp_path / "run.yaml")["target_steps"] == number
    if number > 0:
        assert ask(settings={"learner.robots": text}, learner="sac").learner.robots == number


@pytest.mark.parametrize("text", ["2.5", "1,00", "1e-1", "nan", "1e999", "", "1,000.5", "ten"])
def test_what_is_no_whole_number_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(json.dumps({"target_steps": text}))
    for request in (read_config(tmp_path / "run.json"), {"settings": {"learner.robots": text}}):
        with pytest.raises(tr.RequestError, match="must be a whole number"):
            ask(**{"learner": "sac", **request})


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("use.strenght", "unknown setting 'use.strenght': did you mean use.strength?"),
        ("learner.lr", "did you mean learner.learning_rate?"),
        ("learner.gamma", "did you mean learner.discount?"),
        ("learner.batch_size", "did you mean learner.minibatches?"),
        ("lerner.robots", "did you mean learner.robots?"),
        ("strength", "did you mean use.strength?"),
        ("strength", "use.strength"),
        ("learner.learn_rate", "learner.learning_rate"),
        ("learner.name", "unknown setting"),
        ("looop.threads", "loop.threads"),
        ("gate", "unknown setting 'gate'"),
        ("", "unknown setting ''"),
    ],
)
def test_an_unknown_path_is_answered_with_the_nearest(path, why):
    with pytest.raises(tr.RequestError) as caught:
        ask(settings={path: "1"})
    assert why in str(caught.value)


@pytest.mark.parametrize("path", ["gap.noise", "use.strength", "gate.clip"])
@pytest.mark.parametrize("method", ["zero_shot", "fine_tune", "target_only", "oracle"])
def test_a_setting_that_would_change_nothing_is_refused(method, path):
    with pytest.raises(tr.RequestError, match=f"method '{method}' has no {path[:3]}.*'{path}' would change nothing"):
        ask(method, settings={path: "1"})


@pytest.mark.parametrize(
    ("method", "path", "value", "switch"),
    [("par", "gap.held_back", 0.4, "gap.excess"), ("darc", "gate.scale_floor", 3.0, "gate.scale")],
)
def test_a_setting_that_another_switches_off_is_refused(method, path, value, switch):
    with pytest.raises(tr.RequestError, match=rf"^{path} counts only with {switch}, which is false"):
        ask(method, settings={path: value, switch: False})
    ask(method, settings={path: value})
    own = ask(method).method
    section, name = path.split(".")
    ask(method, settings={path: getattr(getattr(own, section), name), switch: False})  # a file may name them all


def test_settings_of_the_other_learner_are_refused():
    for name in ("polyak", "actor_rate"):
        with pytest.raises(tr.RequestError, match=rf"^learner\.{name} is a setting of sac, not of ppo$"):
            ask(learner="ppo", settings={f"learner.{name}": "0.01"})


def test_settings_of_agents_that_are_trained_on_are_theirs_alone():
    """Neither the source agent's training nor what learns from scratch has them."""
    config = ask("fine_tune", learner="sac", settings={"learner.actor_rate": 1e-5}, controls=("target_only",))
    tuned, plain = (for_method(config, row) for row in (config.method, *config.controls))
    assert (tuned.learner.actor_rate, plain.learner.actor_rate) == (1e-5, 0.0)
    assert plain.learner == config.learner.from_scratch == presets.SMALL
    assert dict(plain.replaced) == {"actor_rate": 1e-5}
    with pytest.raises(tr.RequestError, match=r"^learner\.actor_rate is for agents that .* of target_only none is: "):
        ask("target_only", learner="sac", settings={"learner.actor_rate": 1e-5})


def test_settings_reach_the_run_and_leave_the_table_alone():
    config = ask(
        learner="sac", settings={"use.strength": "0.5", "gap.hidden": "8", "gate.centre": "0", "loop.threads": 1}
    )
    assert config.method.use.strength == 0.5
    assert config.method.gap.hidden == (8,)
    assert config.method.gate.centre is False
    assert config.loop.threads == 1
    assert (METHODS["darc"].use, METHODS["darc"].gate) == (Penalty(), Gate())
    assert tr.method("darc") is METHODS["darc"]


@pytest.mark.parametrize("order", [1, -1])
def test_settings_that_need_one_another_come_in_any_order(order):
    both = [("feed.newest", 0.5), ("feed.source", "replay")][::order]
    assert ask("mix", learner="sac", settings=dict(both)).method.feed == Feed(0.5, "replay", newest=0.5)


# -- the rest of a request -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["source_steps", "target_steps", "seeds"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "10", True, float("nan")])
def test_counts_are_whole_and_positive(name, value):
    with pytest.raises(tr.RequestError, match=f"{name.replace('_', ' ')} must be a whole number of at least 1, not"):
        ask(**{name: value})


@pytest.mark.parametrize("value", [-1, 0.5, None, 2**31, 2**70])
def test_seeds_are_whole_and_fit_in_32_bits(value):
    with pytest.raises(tr.RequestError, match="seed"):
        ask(seed=value)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"controls": ("zero_shot", "fine_tune", "target_only")},
         "which fine_tune and target_only need, not 'darc': raise `target_steps` to 1024 or more, lower "
         "learner.target_rollout, or leave them out with `controls=['zero_shot']`"),
        ({"controls": ("target_only",)}, "which target_only needs, not 'darc': raise `target_steps` to 1024 or more, "
         "lower learner.target_rollout, or leave it out with `controls=[]`"),
        ({"method": "fine_tune"}, "than one round of 'ppo', 1024: raise `target_steps` to 1024 or more, or lower"),
    ],
)  # fmt: skip
def test_who_needs_more_steps_is_named_where_it_is_a_control(request_, said):
    with pytest.raises(tr.RequestError) as caught:
        ask(**{"learner": "ppo", "target_steps": 100, **request_})
    assert said in str(caught.value) and "\n" not in str(caught.value)
    if "method" not in request_:
        ask(learner="ppo", target_steps=100, controls=tuple(c for c in request_["controls"] if c == "zero_shot"))


@pytest.mark.parametrize(
    ("side", "asked"),
    [
        *(("source", {"method": method, "learner": "ppo", "source_steps": steps})
          for method in ("darc", "darail", "identified") for steps in (60, 6_000, 9_000)),
        *(("source", {"method": name, "learner": "sac", "source_steps": 60}) for name in ("darc", "auto", "oracle")),
        ("source", {"method": "fine_tune", "learner": "ppo", "source_steps": 4_000}),
        ("source", {"method": "darc", "learner": "ppo", "source_steps": 9_000, "settings": {"loop.pretrain": 0.95}}),
        ("source", {"method": "paired_branched", "learner": "sac", "source_steps": 2_000, "target_steps": 1_000}),
        *(("target", {"method": name, "learner": "ppo", "target_steps": 9}) for name in ("fine_tune", "target_only")),
        ("target", {"method": "fine_tune", "learner": "sac", "target_steps": 3, "settings": {"loop.target_robots": 8}}),
    ],
    ids=str,
)  # fmt: skip
def test_the_fewest_steps_that_do_are_named_at_once(side, asked):
    with pytest.raises(tr.RequestError) as caught:
        ask(**asked)
    least = int(re.search(rf"raise `{side}_steps` to (\d+) or more", str(caught.value))[1])
    assert getattr(ask(**asked | {f"{side}_steps": least}), f"{side}_steps") == least
    with pytest.raises(tr.RequestError, match=f"raise `{side}_steps` to {least} or more"):
        ask(**asked | {f"{side}_steps": least - 1})


def test_numpy_counts_are_counts():
    config = ask(target_steps=np.int64(5000), seeds=np.int32(2), learner="sac")
    assert (config.target_steps, config.seed_list) == (5000, [0, 1])
    json.dumps(config.as_json(config.method))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"source": "hoper"}, "did you mean hopper"),
        ({"source": 3}, "malformed domain id"),
        ({"target": None}, "malformed domain id"),
        ({"target": "hopper"}, "unlike robots need a bridge"),
        ({"target": PAIR[0]}, "are the same"),
        ({"target": "inverted_pendulum:gravity=1"}, "changes nothing"),
        ({"method": "darcs"}, "unknown method 'darcs': did you mean darc"),
        ({"method": 3}, "unknown method"),
        ({"controls": ("orakle",)}, "did you mean oracle"),
        ({"learner": "pppo"}, "unknown learner 'pppo': did you mean ppo"),
        ({"learner": 3}, "unknown learner"),
        ({"learner": "sac", "source_steps": 10}, "less than one round"),
        ({"learner": "sac", "source_steps": 100}, "100 source steps leave 60"),
        ({"learner": "ppo", "target_steps": 1000, "controls": ("fine_tune",)}, "raise `target_steps` to 1024 or more"),
        ({"learner": "sac", "method": "oracle", "source_steps": 10}, "less than one round"),
        ({"learner": "ppo", "target_steps": 10, "controls": ("target_only",)}, "less than one round"),
        ({"learner": "sac", "target_steps": 3, "settings": {"loop.target_robots": 4}}, "less than one round"),
        ({"settings": {"loop.pretrain": 1}}, "source"),
        ({"learner": PPO(minibatches=128), "method": "fine_tune", "target_steps": 1100}, "too few for 128 minibatches"),
    ],
    ids=str,
)
def test_a_wrong_request_says_why(request_, why):
    with pytest.raises(tr.RequestError) as caught:
        ask(**request_)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("taken", "left"), [(990, 10), (900, 100)])
def test_a_source_run_that_leaves_too_short_rollouts_is_refused_before_the_run(taken, left):
    config = ask(learner=PPO(robots=1, rollout_steps=16, minibatches=8), source_steps=1000, target_steps=1000)
    with pytest.raises(tr.RequestError, match=f"^1000 source steps leave {left}, which cut into 25 rollouts.*paced`$"):
        require_steps_left(config, taken)
    require_steps_left(config, 700)


def test_each_part_of_a_transfer_has_rollouts_of_enough_steps():
    """Of 138 rounds 69 are each part's, which has half of the steps, rounded down."""
    learner = PPO(robots=1, rollout_steps=8, minibatches=8, target_rollout=128)
    with pytest.raises(tr.RequestError, match="give 7 steps to each, too few for 8 minibatches"):
        ask("darail", learner=learner, source_steps=2755, target_steps=1476)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"method": "mix", "learner": PPO(), "settings": {"feed.target_share": 0.25}}, 'cannot: use `learner="sac"`'),
        ({"method": "darc", "learner": PPO(robots=8)}, "not with ppo with other settings"),
    ],
    ids=str,
)
def test_a_source_run_of_ppo_is_no_dead_end(tmp_path, request_, why):
    """What the error says to do is not refused for the contrary, and no settings are poured out."""
    with pytest.raises(tr.RequestError) as caught:
        ask(**request_, source_run=run_of_ppo(tmp_path))
    assert why in str(caught.value) and "learning_rate" not in str(caught.value)


def run_of_ppo(place, steps=1000):
    """A run directory of which only the source agent is told, of so many steps."""
    (place / "source").mkdir()
    agent = {"source": PAIR[0], "learner": {"name": "ppo", **asdict(PPO())}, "seeds": [0], "steps": steps}
    (place / "source" / "agent.json").write_text(json.dumps(agent))
    return place


@pytest.mark.parametrize(
    "request_",
    [
        {"method": "paired_branched", "target_steps": 1000},
        {"method": "policy_advice"},
        {"method": "fine_tune", "controls": ("mix",)},
        {"method": "darc", "learner": "sac"},
    ],
    ids=str,
)
def test_what_needs_stored_steps_takes_over_an_agent_of_ppo(tmp_path, request_):
    config = ask(**request_, source_run=run_of_ppo(tmp_path))
    own = presets.make_learner("sac", PAIR[0])
    assert config.learner == own and config.converted == PPO()
    assert config.source_steps == 1000 + presets.source_budget(own, PAIR[0])
    assert conversion_steps(config, 1000) == 12_480  # a quarter of the rest, by 64 robots


def test_a_budget_in_which_it_cannot_be_taken_over_is_refused(tmp_path):
    config = ask("fine_tune", learner="sac", source_steps=2_000, source_run=run_of_ppo(tmp_path))
    with pytest.raises(tr.RequestError, match="sac could take its agent of ppo over: raise `source_steps` to 9000 or"):
        require_steps_left(config, 1000)


def test_what_an_agent_of_ppo_can_do_itself_it_does(tmp_path):
    config = ask("fine_tune", source_run=run_of_ppo(tmp_path), source_steps=8192)
    assert config.learner == PPO() and config.converted is None and conversion_steps(config, 1000) == 0


def test_an_agent_that_is_taken_up_is_trained_on_only_for_a_method_that_goes_on_in_the_source(tmp_path):
    run, usual = run_of_ppo(tmp_path, steps=8192), ask(learner="ppo").source_steps
    assert usual != 8192
    for asked in ({"method": "zero_shot"}, {"method": "zero_shot", "controls": ("fine_tune",)}):
        assert ask(source_run=run, **asked).source_steps == 8192
    for asked in ({"method": "darc"}, {"method": "zero_shot", "controls": ("darc",)}):
        assert ask(source_run=run, **asked).source_steps == usual
    assert ask("zero_shot", source_run=run, source_steps=9000).source_steps == 9000


def test_a_learner_can_be_a_name_or_settings_or_left_to_the_preset():
    mine = tr.learner("sac", hidden=(8,))
    assert ask(learner=mine).learner is mine
    assert ask(learner="sac").learner is presets.make_learner("sac", PAIR[0])
    assert ask().learner == presets.make_learner(None, PAIR[0])
    with pytest.raises(tr.RequestError, match="unknown setting of learner 'sac' 'hiden': did you mean hidden"):
        tr.learner("sac", hiden=(8,))
    with pytest.raises(tr.RequestError, match="unknown gap 'clasifier': did you mean classifier"):
        tr.gap("clasifier")


def test_what_starts_from_nothing_in_the_target_has_a_learner_that_keeps_its_steps():
    own = presets.make_learner(None, PAIR[0])
    off_policy = presets.make_learner("sac", PAIR[0])
    assert own.on_policy and ask("value_potential").learner is ask("target_only").learner is off_policy
    assert ask("target_only", learner="ppo").learner.on_policy
    assert ask("darc", controls=("target_only",)).learner == ask("fine_tune").learner == own


def test_a_control_that_is_the_method_or_comes_twice_runs_once():
    config = ask(controls=("zero_shot", "darc", "zero_shot"))
    assert [row.name for row in config.controls] == ["zero_shot"]


# -- presets -------------------------------------------------------------------------------------------------------


def test_every_robot_of_the_table_has_a_preset_of_every_learner():
    assert set(presets.PRESETS) == set(ROBOTS)


@pytest.mark.parametrize("learner", [name for name, kind in presets.LEARNERS.items() if not kind.offline])
@pytest.mark.parametrize("robot", presets.PRESETS)
def test_presets_suit_robots_of_the_table_and_say_how_they_were_found(robot, learner):
    row = presets.PRESETS[robot]
    tuned, shifted = row.of(learner), f"{robot}:mass=2"
    assert tuned.found and isinstance(tuned.settings, presets.LEARNERS[learner])
    assert presets.preset(shifted) is row
    config = ask(source=robot, target=shifted, learner=learner)
    assert config.source_steps == tuned.source_steps
    assert config.learner is tuned.settings is presets.make_learner(learner, shifted)
    if row.chosen == learner:
        assert presets.make_learner(None, shifted) is tuned.settings
        assert ask(source=robot, target=shifted).source_steps == tuned.source_steps


def test_a_method_that_mixes_takes_the_robots_off_policy_preset():
    assert ask("mix", source="hopper", target="hopper:mass=2").learner is presets.PRESETS["hopper"].sac.settings


def test_a_domain_without_a_preset_has_the_usual_budget_and_the_learners_defaults():
    assert presets.make_learner(None, "gym:Pendulum-v1") == SAC()
    assert presets.source_budget(SAC(), "gym:Pendulum-v1") == presets.DEFAULT_STEPS.source


@pytest.mark.parametrize("learner", [PPO(hidden=(8, 4), clip=0.3), SAC(hidden=(8,), n_step=3)])
def test_a_learner_is_restored_from_what_a_run_wrote_down(learner):
    config = ask(learner=learner, source_steps=200_000)
    stored = json.loads(json.dumps(config.as_json(config.method)))["learner"]
    assert presets.restore_learner(stored) == learner


# -- config files --------------------------------------------------------------------------------------------------


def written(tmp_path: Path, text: str, name: str = "run.yaml") -> Path:
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_yaml_and_json_say_the_same(tmp_path):
    request = {
        "source": PAIR[0],
        "target": PAIR[1],
        "method": "darc",
        "controls": ["zero_shot"],
        "learner": {"name": "sac", "hidden": [8, 8], "learning_rate": 1e-3},
        "loop": {"threads": 1},
        "gap": {"noise": 0.2},
        "target_steps": 500,
        "settings": {"use.strength": 0.5},
    }
    files = [written(tmp_path, yaml.safe_dump(request)), written(tmp_path, json.dumps(request), "run.json")]
    one, two = (read_config(path) for path in files)
    assert one == two
    config = ask(**one)
    assert config.learner == replace(presets.make_learner("sac", PAIR[0]), hidden=(8, 8), learning_rate=1e-3)
    assert (config.method.gap.noise, config.method.use.strength, config.loop.threads) == (0.2, 0.5, 1)
    assert (config.target_steps, [row.name for row in config.controls]) == (500, ["zero_shot"])


def test_the_learner_may_be_a_mere_name(tmp_path):
    assert read_config(written(tmp_path, "learner: sac"))["learner"] == "sac"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("learner", [SAC(hidden=(8,)), PPO(hidden=(8, 4), clip=0.3)], ids=lambda x: x.name)
def test_a_runs_own_config_repeats_it(tmp_path, method, learner):
    row = METHODS[method].simulated if learner.on_policy else METHODS[method]
    sized = {"gap.hidden": (4, 4)} if hasattr(row.gap, "hidden") else {"gap.batch": 32}
    own = {"gap": sized, "gate": {"gate.scale": False, "use.strength": 0.25}, "feed": {}}
    gap = {name: value for part, some in own.items() if getattr(row, part) for name, value in some.items()}
    task = {"target": f"{PAIR[0]}+terms(survive=2)"} if row.relabels else {}
    if row.relabels:  # of what can be computed: then it has no gap
        gap = {"use.pessimism": 2.0}
    if row.off_policy and learner.on_policy:
        with pytest.raises(
            tr.RequestError, match=f"'{method}' .*, which ppo (cannot|does not keep): use `learner=\"sac\"`"
        ):
            ask(method, learner=learner, **task)
        return
    first = ask(
        method, learner=learner, **task, source_steps=90_000, target_steps=3000, seeds=2, seed=7,
        controls=("zero_shot",), settings={"loop.aligned": 0.5, "loop.converged": 3, **gap},
    )  # fmt: skip
    own = for_method(first, first.method).as_json(first.method)  # with what the method changes in the learner
    again = ask(**read_config(written(tmp_path, json.dumps(own), "config.json")))
    assert for_method(again, again.method).as_json(again.method) == own
    assert (again.method, again.learner, again.loop) == (first.method, first.learner, first.loop)


@pytest.mark.parametrize(
    ("name", "learner", "own"), [("rlpd", "sac", "critics"), ("fine_tune", "ppo", "learning_rate")]
)
def test_a_command_that_repeats_a_run_leaves_a_methods_own_settings_to_it(name, learner, own):
    """They would be the source agent's and the controls', too."""
    first = ask(name, learner=learner, settings={"learner.hidden": "8,8"})
    config = json.loads(json.dumps(for_method(first, first.method).as_json(first.method)))
    command = repeat(Record(config, [], None), [])
    assert "learner.hidden=8,8" in command and f"learner.{own}" not in command


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("grounded", {"ground.steps": 700, "ground.rounds": 2}),
        ("randomised", {"randomise.ranges": "gravity=0.5..2"}),
    ],
)
def test_a_command_that_repeats_a_run_has_the_settings_of_all_its_parts(name, settings):
    first = ask(name, learner="sac", source_steps=500_000, settings=settings)
    run = Record(json.loads(json.dumps(for_method(first, first.method).as_json(first.method))), [], None)
    command = repeat(run, [run])
    assert all(f"{path}={value}" in command for path, value in settings.items())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("metod: darc", "unknown key 'metod': did you mean method"),
        ("- darc", "must hold a mapping"),
        ("", "must hold a mapping"),
        ("method: [", "does not parse"),
        ("loop: 3", "'loop' must be a mapping"),
        ("replaced: 3", "'replaced' must be a mapping"),
        ("loop:", "'loop' must be a mapping"),
        ("settings: 3", "'settings' must be a mapping"),
        ("settings:", "'settings' must be a mapping"),
        ("1: 2", "unknown key '1'"),
        ("controls: 3", "controls"),
        ("controls: [3]", "unknown method"),
        ("source: 3", "malformed domain id"),
        ("source_steps: 1.5", "whole number"),
        ("seeds: many", "whole number"),
        ("source_run: 3", "source_run"),
        ("learner: {name: 3}", "unknown learner"),
        ("loop: {3: 4}", "unknown setting 'loop.3'"),
    ],
)
def test_a_wrong_config_says_why(tmp_path, text, why):
    with pytest.raises(tr.RequestError) as caught:
        ask(**read_config(written(tmp_path, text)))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_config_that_is_not_there(tmp_path):
    with pytest.raises(tr.RequestError, match=r"cannot read .*no\.yaml: No such file"):
        read_config(tmp_path / "no.yaml")
    with pytest.raises(tr.RequestError, match=r"cannot read .*: Is a directory"):
        read_config(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(tr.RequestError, match=r"binary\.yaml: it is not text"):
        read_config(tmp_path / "binary.yaml")


def test_spaces_are_recorded():
    stored = ask().as_json(METHODS["darc"])["spaces"]
    spaces = domain(PAIR[0]).spaces
    sizes = {"obs": 4, "action": 1, "low": spaces.low.tolist(), "high": spaces.high.tolist()}
    assert stored.items() >= sizes.items()
    assert stored["obs_names"] == list(entry_names(domain(PAIR[0]))) and len(stored["action_names"]) == 1
    assert stored["obs_low"] == [None] * 4 and stored["changing"] == {"source": [], "target": []}
    assert list(stored["apart"]) == ["model.gravity"]  # what the target's environment is told by


def test_spaces_are_equal_by_value_and_hold_copies_of_their_own():
    low = np.array([-1.0, -2.0])
    mine, same = Spaces(3, 2, low, -low), Spaces(3, 2, low.copy(), -low)
    assert mine == same and hash(mine) == hash(same)
    others = [Spaces(4, 2, low, -low), Spaces(3, 2, low, -low + 1e-9), Spaces(3, 1, low[:1], -low[:1])]
    assert all(mine != other for other in others) and mine != "spaces"
    low[0] = 5.0  # a buffer of the user's
    assert mine == same and mine.low[0] == -1.0
    with pytest.raises(ValueError, match="read-only"):
        mine.high[0] = 5.0


def test_domains_of_the_same_spaces_share_their_programs():
    made = [programs(SAC(hidden=(8,)), METHODS["darc"].compensation(), tr.domain(name).spaces) for name in PAIR * 2]
    assert all(one is made[0] for one in made)
