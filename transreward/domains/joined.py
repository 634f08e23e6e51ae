"""`tr.bridge`: one robot in the columns of an unlike one."""

from __future__ import annotations

from transreward.bridges.match import NAMED
from transreward.domains.across import Across
from transreward.domains.domain import Domain
from transreward.domains.ids import domain


def bridge(source: Domain | str, target: Domain | str, how: str = NAMED) -> Across:
    """The source in the columns of the target, over a bridge: named, kinematic, clone(named), shuffled(named), a file
    such as map.yaml, or package.module:function (see docs/bridges.md).

    Its `table()` says which motor and column of the target shows which of the source, `said()` the same in a sentence,
    and `crossing` has the matrices. It is a domain, whose id opens it again.
    Raises RequestError for an unknown bridge, for one that finds nothing, and for what is wrong in a file.
    """
    return Across(domain(source), domain(target), how)
