"""What makes a cell of the grid, and what does not: each works as it says, or is refused with a reason."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from transreward.cells import cells
from transreward.cli import main
from transreward.gaps import GAPS
from transreward.gaps.gap import OFFERS
from transreward.learners import LEARNERS
from transreward.methods import METHODS, method
from transreward.types import Pair, RequestError, Spaces, Transition
from transreward.uses import USES

SPACES = Spaces(3, 2, -np.ones(2), np.ones(2))
N = 300  # steps of each domain
PARTS = ("value", "policy", "critic")  # of the source agent


def value(obs):
    return obs[..., 0]


def act(obs):
    return obs[..., :2]


def played(row):
    """Start, update, evaluate, judge and adjust, and what a learner is told, without computing anything."""
    if row.needs("terms"):  # a run sets how many a step stores
        row = replace(row, gap=replace(row.gap, terms=2))
    compensation = row.compensation()
    wide, flat = jnp.zeros((N, 3)), jnp.zeros(N)
    t = Transition(wide, jnp.zeros((N, 2)), flat, wide, flat, flat)
    extra = {"value": value, "source_value": value, "act": act, "source_act": act, "discount": 0.9, "done": flat[0],
             "explained": flat[0], "source_q": lambda obs, _: value(obs),
             "source_acts": lambda obs: jnp.stack([act(obs), -act(obs)]),
             "source_model": lambda obs, action: jnp.concatenate([obs, action[..., :1]], axis=-1)}  # fmt: skip
    shown = {"counterpart": t, "demonstrations": t, "terms": Pair(jnp.zeros((N, 2)), jnp.zeros((N, 2)))}

    def run(key):
        state, both = compensation.init(key, SPACES), Pair(t, t)
        state, metrics = compensation.update(state, both, key, **extra, **shown)
        state = compensation.judge(state, compensation.evaluate(state, both, **extra, **shown))
        shaping = compensation.shape(state, **extra)
        says = (*shaping._replace(peer=None, press=None, guides=None), shaping.peer and shaping.peer.q)
        told = [say(wide, t.action) for say in says if say is not None]
        if shaping.press is not None:
            told.append(jax.grad(lambda q: shaping.press(t, q, flat > 0))(flat))
        if (guides := shaping.guides) is not None:
            theirs = guides.acts(wide)
            told += list(guides.weigh(flat, theirs[..., 0]) * guides.apart(t.action, theirs))
        return compensation.adjust(state, both, **extra, **dict.fromkeys(shown)), told, metrics

    adjusted, told, _ = jax.eval_shape(run, jax.random.key(0))
    assert {x.shape for x in (*jax.tree.leaves(adjusted), *told)} == {(N,)}
    assert bool(told) == compensation.use.shapes
    return compensation


@pytest.mark.parametrize("use", USES)
def test_each_gap_works_with_a_use_or_is_refused_with_a_reason(use):
    working = []
    for of in (*GAPS, *PARTS):
        began = perf_counter()
        try:
            row = method(f"{use}({of})")
        except RequestError as error:
            text = str(error)
            assert perf_counter() - began < 1
            assert ("\n" not in text and f"'{use}" in text) or f"unknown gap '{of}'" in text
            continue
        assert played(row).side == row.side
        working.append(of)
    assert working == cells()[use] != []


@pytest.mark.parametrize("name", METHODS)
def test_each_row_works_and_its_gap_offers_what_its_use_wants(name):
    row = METHODS[name]
    played(row)
    if row.gap is not None:
        assert set(row.use.wants) & set(row.gap.offers)


def test_a_gap_offers_what_it_says_that_it_offers_with_some_settings():
    for kind in GAPS.values():
        for offer, settings in kind.offers_with.items():
            assert offer in kind(**settings).offers
    assert set(OFFERS) == {offer for kind in USES.values() for offer in kind.wants}
    assert set(OFFERS) == {offer for kind in GAPS.values() for offer in (*kind().offers, *kind.offers_with)}


def test_the_tables_name_what_they_list():
    for table in (GAPS, USES, LEARNERS):
        assert {name: kind.name for name, kind in table.items()} == {name: name for name in table}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gpi(paired)", "'gpi' needs a gap that says what the source policy would earn: successor, not paired"),
        ("penalty(successor)", "'penalty' needs a gap that scores how like the target's a step is, not successor"),
        ("bellman(successor)", "'bellman' needs a gap that predicts the difference in next state: paired, not succ"),
        ("kickstart(paired)", "is of the source agent's policy, and has no gap: write kickstart(policy)"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_named(name, reason):
    with pytest.raises(RequestError) as caught:
        method(name)
    assert reason in str(caught.value)


def test_the_cells_are_listed(capsys):
    main(["list", "methods"])
    line = next(line for line in capsys.readouterr().out.splitlines() if "any cell: " in line)
    listed = {use: gaps.split(", ") for part in line.partition("any cell: ")[2].split("; ")
              for uses, gaps in [part.split(" of ")] for use in uses.split(", ")}  # fmt: skip
    assert listed == cells()
    others = ("relabel(reward)", "dpba(reward)", "gpi(successor)")
    for name in (*others, "advice(policy)", "kickstart(policy)", "avatar(critic)"):
        use, of = name[:-1].split("(")
        assert of in listed[use]
