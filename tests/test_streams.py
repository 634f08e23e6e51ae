"""Streams of steps by their kinds; and streams of random numbers, no two of which are alike."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from quick import robots
from test_grid import agent, move  # noqa: F401

import transreward as tr
from transreward.draws import PURPOSES, stream, word
from transreward.engine.programs import Programs
from transreward.streams import STREAMS, kind_of
from transreward.streams.stream import Opening, Round, Stream, unpaid
from transreward.types import Pair, Spaces
from transreward.uses.robust import Robust

pytestmark = pytest.mark.usefixtures("hurry")


def data(keys):
    return {tuple(np.ravel(row)) for row in np.asarray(jax.random.key_data(keys)).reshape(-1, 2)}


def test_the_words_of_all_purposes_are_apart_and_above_any_part_of_a_key():
    assert len({word(purpose) for purpose in PURPOSES}) == len(PURPOSES)
    assert all(2**31 <= word(purpose) < 2**32 for purpose in PURPOSES)
    keys = jax.random.split(jax.random.key(0), 3)
    drawn = [data(stream(keys, purpose)) for purpose in PURPOSES]
    drawn += [data(jax.vmap(lambda key: jax.random.split(key, 100))(keys)), data(keys)]
    assert all(not a & b for a, b in combinations(drawn, 2))


@pytest.mark.parametrize("name", ["paired_branched", pytest.param("paired", marks=pytest.mark.slow)])
def test_all_streams_of_a_run_are_pairwise_different(agent, monkeypatch, name):  # noqa: F811
    drawn, noises = [], []
    for part in ("noise", "visited", "compensate", "improve"):
        plain = getattr(Programs, part)

        def spy(self, *given, plain=plain, part=part, **more):
            keys = given[{"noise": 0, "visited": 1, "compensate": 2, "improve": 3}[part]]
            if part == "noise":  # a draw a step
                steps = np.arange(given[1])
                keys = jax.vmap(lambda key: jax.vmap(lambda i: jax.random.fold_in(key, i))(steps))(keys)
            found = plain(self, *given, **more)
            drawn.append((part, data(keys)))
            if part == "noise":
                noises.extend(np.asarray(found)[:, :, 0, 0].ravel())
            return found

        monkeypatch.setattr(Programs, part, spy)
    move(name, source_run=agent)
    assert len(drawn) > 8 and {part for part, _ in drawn} >= {"noise", "compensate", "improve"}
    assert all(not a & b for (_, a), (_, b) in combinations(drawn, 2))
    assert len(set(noises)) == len(noises)


def test_uniform_actions_differ_between_the_domains_and_from_the_resets():
    spaces, made = Spaces(1, 2, -np.ones(2), np.ones(2)), []

    class Still:
        name = "still"

        def simulate(self, n, seeds, threads):
            return SimpleNamespace()

    Still.spaces = spaces
    for whose in ("source", "target", "partner"):
        walk = robots(Still(), [3], 1, whose=whose)
        made.append(walk._uniform[0].uniform())
    resets = [np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, row)))).uniform() for row in range(64)]
    assert len({*made, *resets}) == 3 + 64


def test_the_networks_of_a_robust_reward_start_apart():
    asked = []

    class Asked:
        def init(self, key, spaces):
            asked.append(data(jax.random.split(key, 8)) | data(key))

    class Robustly(Robust):
        discriminator = Asked()

    Robustly().init(Asked(), jax.random.key(0), Spaces(1, 1, -np.ones(1), np.ones(1)))
    assert not asked[0] & asked[1]


def test_a_kind_of_stream_is_one_of_the_table():
    domain = tr.domain("inverted_pendulum")
    assert kind_of(domain, "source") == kind_of(domain, "target") == "walk"
    gym = tr.domain("gym:Pendulum-v1")
    assert (kind_of(gym, "source"), kind_of(gym, "target")) == ("walk", "logged")
    domain.stream = "wlak"
    with pytest.raises(tr.RequestError, match="unknown kind of stream 'wlak': did you mean walk"):
        kind_of(domain, "target")


def test_what_looks_at_others_steps_has_its_turn_after_them():
    domain = tr.domain("inverted_pendulum")
    opening = Opening(Pair(domain, domain), [3, 4], 1, lambda account: unpaid, opened={})
    plain = Stream("target", "walk", "target", "target", 2)
    for planned in (plain, Stream("counterpart", "counterpart", "source", "source", 2, 8)):
        opening.opened[planned.name] = STREAMS[planned.kind].open(planned, opening)
    branch = STREAMS["branch"].open(Stream("source", "branch", "source", "source", 3, 8, per_step=1, length=2), opening)
    assert STREAMS["walk"].turn < STREAMS["counterpart"].turn < branch.turn
    fresh = {}
    due = Round(4, True, 0.0, None, None, None, {}, None, None, fresh, None, None)
    assert opening.opened["counterpart"].take(due) is None and branch.take(due) is None  # the target took nothing
    fresh["target"] = opening.opened["target"].take(due)
    again = opening.opened["counterpart"].take(due)
    assert np.array_equal(again.transition.obs, fresh["target"].transition.obs)
    assert (fresh["target"].domain == 1).all() and (again.domain == 0).all()
    assert opening.opened["target"].steps == 8 and branch.buffer(opening).capacity == 8
