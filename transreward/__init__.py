"""TransReward: move a skill from one robot to another by compensating rewards."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# public name -> where it lives; imported at first use, so that `import transreward` is instant and free of JAX
_PUBLIC = {
    "BrokenRun": "transreward.types",
    "Client": "transreward.session.client",
    "Comparison": "transreward.runs.comparison",
    "CompensatedReward": "transreward.wrapper",
    "CompensatedVectorReward": "transreward.wrapper",
    "Domain": "transreward.domains.domain",
    "Pair": "transreward.types",
    "RequestError": "transreward.types",
    "Result": "transreward.runs.result",
    "Session": "transreward.session.session",
    "Simulation": "transreward.domains.domain",
    "Spaces": "transreward.types",
    "Transition": "transreward.types",
    "adopt": "transreward.policies.adopt",
    "bridge": "transreward.domains.joined",
    "check": "transreward.preflight.check",
    "compare": "transreward.compare",
    "domain": "transreward.domains.ids",
    "export": "transreward.reports.export",
    "export_sb3": "transreward.policies.sb3",
    "gap": "transreward.cells",
    "identify": "transreward.preflight.identify",
    "learner": "transreward.presets",
    "load": "transreward.runs.result",
    "measure": "transreward.domains.difference",
    "method": "transreward.methods",
    "methods": "transreward.methods",
    "picture": "transreward.reports.films.matched",
    "resume": "transreward.transfer",
    "transfer": "transreward.transfer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'transreward' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Importing the submodules `compare`, `transfer` and `methods` does not hide the functions of these names."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PUBLIC or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
