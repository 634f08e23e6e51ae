"""Streams, which say where steps come from: one file each, and their table."""

from transreward.domains.domain import Domain, stream_kind, table_robot
from transreward.streams.asked import Asked
from transreward.streams.branch import Branch
from transreward.streams.counterpart import Counterpart
from transreward.streams.data import Data
from transreward.streams.lesson import Lesson
from transreward.streams.logged import LoggedWalk
from transreward.streams.stored import Stored
from transreward.streams.stream import Taker
from transreward.streams.walk import Walk
from transreward.streams.whole import Whole
from transreward.types import RequestError, nearest

STREAMS: dict[str, type[Taker]] = {
    "walk": Walk,
    "logged": LoggedWalk,
    "stored": Stored,
    "counterpart": Counterpart,
    "branch": Branch,
    "lesson": Lesson,
    "data": Data,
    "whole": Whole,
    "asked": Asked,
}


def kind_of(domain: Domain, name: str) -> str:
    """The kind of stream that a domain's own steps come from, for the stream called `name`. Raises RequestError if the
    domain declares one that is not in the table."""
    kind = stream_kind(domain)
    if kind == "walk" and name == "target" and table_robot(domain) is None:
        return "logged"
    if kind not in STREAMS:
        raise RequestError(f"'{domain.name}': {nearest(kind, STREAMS, 'kind of stream')}")
    return kind
