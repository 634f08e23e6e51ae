"""The ledger: every step is granted before it is taken. Budgets are enforced here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from transreward.types import BrokenRun, Pair

EVALUATION = Pair("source evaluation", "target evaluation")  # accounts of steps that nothing learns from


class Overdrawn(BrokenRun):
    """More steps were asked for than are granted; none of them was taken."""


class Ledger:
    """Steps per seed by account. An account without a grant pays for nothing; a grant of None has no limit."""

    def __init__(self, granted: Mapping[str, int | None], spent: Mapping[str, int] | None = None) -> None:
        """`granted`: the limit of each account; `spent`: what each has paid already."""
        self.granted, self.spent = dict(granted), dict(spent or {})

    def __getitem__(self, account: str) -> int:
        """What an account has paid."""
        return self.spent.get(account, 0)

    def left(self, account: str) -> int | None:
        """What an account may still pay; None = no limit."""
        granted = self.granted.get(account, 0)
        return None if granted is None else granted - self[account]

    def spend(self, account: str, steps: int) -> None:
        """Pay for `steps` that are about to be taken. Raises Overdrawn, and pays nothing, if they exceed the grant."""
        left = self.left(account)
        if left is not None and steps > left:
            raise Overdrawn(
                f"{steps:,} {account} steps were about to be taken, {self[account]:,} are, and no more than "
                f"{self.granted.get(account, 0):,} are granted"
            )
        self.spent[account] = self[account] + steps

    def payer(self, account: str) -> Callable[[int], None]:
        """A function that spends from one account."""
        return lambda steps: self.spend(account, steps)

    @property
    def steps(self) -> Pair[int]:
        """Training steps taken in each domain, per seed."""
        return Pair(self["source"], self["target"])

    @property
    def evaluation(self) -> Pair[int]:
        """Evaluation steps taken in each domain, per seed."""
        return EVALUATION.map(self.__getitem__)
