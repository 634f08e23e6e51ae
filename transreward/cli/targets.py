"""transreward transfer SOURCE T1,T2,T3: a run to each target, from one source agent, as a study."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from transreward.types import DEFAULT_METHOD, RequestError

SHARED = ("learner", "loop")  # sections of settings that all methods have
# Request fields that a plan has no key for, and what to do instead
ALONE = {
    "source_policy": "make a source run of it first (transreward adopt), and name that by --source-run",
    "log": "name one target, or leave it out",
    "fresh": "name a new directory by --out, in which the source agent is trained anew",
}


def run(request: dict[str, Any], targets: list[str], dry: bool) -> None:
    """Run, or say what would be run."""
    from dataclasses import replace

    import yaml

    from transreward.cli import study
    from transreward.cli.directory import new_directories, run_in_its_directory
    from transreward.request.resolve import require_once
    from transreward.study.folder import PLAN
    from transreward.study.jobs import jobs_of
    from transreward.study.plan import parsed
    from transreward.workers.contract import Asked

    for name, instead in ALONE.items():
        if request.pop(name, None):
            raise RequestError(f"`{name}` is of one target, and these are {len(targets)}: {instead}")
    require_once(targets, "targets")
    text, what = plan_of(request, targets), request.get("method", DEFAULT_METHOD)
    plan = replace(parsed(text), typed=True)
    if dry:
        out = request.get("out") or next(new_directories(request["target"], what))
        return print("\n".join(study.listed(jobs_of(plan, Path(out)))))

    def begin(out: str) -> None:
        words = shlex.join(["transreward", "study", f"{out}/{PLAN}", "--out", out])
        jobs, again = jobs_of(plan, Path(out)), f"'{words}' goes on with it"
        written, here = yaml.safe_dump(text, sort_keys=False), ("here", Asked(None, "", 1, 4.0, {}))
        study.carried_out(written, jobs, jobs, Path(out), here, again)

    run_in_its_directory({key: request[key] for key in ("target", "out") if key in request}, what, begin)


def plan_of(request: dict[str, Any], targets: list[str]) -> dict[str, Any]:
    """The plan of a study: the method and its controls on each pair, what the first targets told known to the next."""
    asked = {key: value for key, value in request.items() if value is not None and key not in ("target", "out")}
    source, method, settings = asked.pop("source"), asked.pop("method", DEFAULT_METHOD), dict(asked.pop("settings", {}))
    names = list(dict.fromkeys((method, *asked.pop("controls", ()))))
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for path in list(settings):
        section, _, rest = path.partition(".")
        if section not in SHARED:
            own[section if section in own else method][rest if section in own else path] = settings.pop(path)
    return {
        "pairs": [{"source": source, "target": target} for target in targets],
        "methods": [{"method": name, "settings": own[name]} for name in names],
        "share": True,
        "settings": settings,
        **asked,
    }
