"""`tr.bridge`: one robot in the columns of an unlike one, or in another view of itself."""

from __future__ import annotations

from transreward.bridges import is_view
from transreward.bridges.match import NAMED
from transreward.domains.across import Across
from transreward.domains.bridged import Bridged
from transreward.domains.domain import Domain
from transreward.domains.history import without_history
from transreward.domains.ids import domain
from transreward.domains.views import seen
from transreward.types import Pair


def bridge(source: Domain | str, target: Domain | str, how: str = NAMED) -> Across | Bridged:
    """The source in the columns of the target, over a bridge: named, kinematic, clone(named), shuffled(named), a file
    such as map.yaml, package.module:function, or learned(steps.npz) (see docs/bridges.md); or in a view of its own,
    such as mirrored.

    Its `table()` says which motor and column of the target shows which of the source, `said()` the same in a sentence,
    and `crossing` has the matrices. It is a domain, whose id opens it again.
    Raises RequestError for an unknown bridge, for one that finds nothing, and for what is wrong in a file.
    """
    own, other = domain(source), domain(target)
    if is_view(how):
        return without_history(seen(Pair(own, other), how).source)  # type: ignore[return-value]
    return Across(own, other, how)
