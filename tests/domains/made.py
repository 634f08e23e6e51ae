"""Factories of domains, as a user would write them."""

import gymnasium

from transreward.domains.domain import domain


def pendulum():
    return gymnasium.make("Pendulum-v1", max_episode_steps=50)


def light_hopper():
    return domain("hopper:gravity=0.5")


ONE = pendulum()


def shared():
    return ONE


def wrong():
    raise OSError("no such robot\nat all")
