"""What is done with a gap, or with what the source agent knows: the table of uses, a file each."""

from transreward.uses.advice import Advice
from transreward.uses.avatar import Avatar
from transreward.uses.bellman import Bellman
from transreward.uses.blend import Blend
from transreward.uses.conservative import Conservative
from transreward.uses.cup import Cup
from transreward.uses.dpba import Dpba
from transreward.uses.filter import Filter
from transreward.uses.gpi import Gpi
from transreward.uses.imitation import Imitation
from transreward.uses.kickstart import Kickstart
from transreward.uses.penalty import Penalty
from transreward.uses.potential import Potential
from transreward.uses.relabel import Relabel
from transreward.uses.robust import Robust
from transreward.uses.select import Select
from transreward.uses.trust import Trust
from transreward.uses.use import Use
from transreward.uses.weight import Weight

USES: dict[str, type[Use]] = {
    "penalty": Penalty,
    "weight": Weight,
    "filter": Filter,
    "select": Select,
    "conservative": Conservative,
    "potential": Potential,
    "advice": Advice,
    "kickstart": Kickstart,
    "avatar": Avatar,
    "cup": Cup,
    "gpi": Gpi,
    "bellman": Bellman,
    "trust": Trust,
    "imitation": Imitation,
    "robust": Robust,
    "blend": Blend,
    "relabel": Relabel,
    "dpba": Dpba,
}
