"""Factories of domains, as a user would write them."""

import gymnasium
import numpy as np

from transreward.domains.ids import domain
from transreward.types import RequestError


def pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=50)


def short_pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=50, g=5.0)


def weak_pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=50, g=5.0)


def light_hopper():
    return domain("hopper:gravity=0.5")


def twice():
    return domain("inverted_pendulum:gravity=0.5,mass=2")


def once():
    return domain("inverted_pendulum:gravity=0.5,range=2")


def cheetah():
    return domain("halfcheetah:mass=2")


class Fixed:
    """A domain that does not let itself be named."""

    reward_terms, episode_steps, spaces = ("reward",), 9, domain("gym:Pendulum-v1").spaces
    name = property(lambda self: "mine")

    def simulate(self, n, seed, threads=0):
        raise NotImplementedError


def fixed():
    return Fixed()


PENDULUM = domain("gym:Pendulum-v1")


def alias():
    return PENDULUM


ONE = pendulum()


def shared():
    return ONE


def wrong():
    raise OSError("no such robot\nat all")


def exits():
    raise SystemExit("no licence")


def no_space():
    env = pendulum().unwrapped
    del env.observation_space
    return env


# Rewards of a user: the first two are right, each of the others is wrong in its own way.


def ahead(obs, action, next_obs):
    return next_obs[:, 8] - np.square(action).sum(axis=1)


def upright(obs, action, next_obs):
    """Of a hopper: no combination of terms that it has."""
    return np.cos(90 * next_obs[:, 1]) + np.sin(70 * next_obs[:, 2])


def by_place(obs, action, next_obs):
    return np.arange(len(obs), dtype=float)


def by_mean(obs, action, next_obs):
    return next_obs[:, 8] - next_obs[:, 8].mean()


def one_column(obs, action, next_obs):
    return next_obs[:, 8:9]


def no_number(obs, action, next_obs):
    return np.nan * next_obs[:, 8]


def text(obs, action, next_obs):
    return ["far"] * len(obs)


def nothing(obs, action, next_obs):
    next_obs[:, 8].mean()


def overwrites(obs, action, next_obs):
    next_obs -= obs
    return next_obs[:, 8]


def breaks(obs, action, next_obs):
    return next_obs[:, 99]


def two_arguments(obs, action):
    return obs[:, 0]


def of_107(obs, action, next_obs):
    return next_obs[:, 106] - next_obs[:, 0]


def names_a_domain_or_is_refused(text):
    """An id is a domain whose name is an id of the same, or is refused in one line."""
    try:
        made = domain(text)
    except RequestError as error:
        assert "\n" not in str(error)
    else:
        assert domain(made.name).name == made.name
