"""The command line: the only file that parses arguments. JAX is imported where it is needed, not by --help."""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from transreward import __version__
from transreward.domains.users import import_modules
from transreward.interruption import ends_at_once, undone
from transreward.types import CONTROLS, BrokenRun, RequestError, whole_number

DESCRIPTION = """\
Move a skill from one robot to another by compensating rewards.

  transreward transfer                                     the main job, in about three minutes
  transreward transfer hopper hopper:gravity=0.5 --target-steps 20000
  transreward compare hopper hopper:gravity=0.5 --methods darc,sac_iw --seeds 5
  transreward check walker2d walker2d:friction=0.3         before you spend: a verdict on the pair
  transreward report runs/a runs/b --out report.html       runs side by side, on one page
  transreward play runs/x                                  video of both robots
  transreward export runs/x                                the policy as ONNX, with its contract
  transreward list methods                                 what there is
"""
TRANSFER = """\
Train a source agent (or take one up with --source-run), then move it to the target with a method, within budgets of
steps per seed that are never exceeded. Controls run beside the method from the same source agent.
"""
COMPARE = """\
Run several methods on one pair, from one source agent, with the same seeds and budgets, and print one table: the mean
with Student's t interval, the interquartile mean (IQM) with its bootstrap interval, and the probability that the method
beats each control. zero_shot, fine_tune and target_only are always run, named or not. The run directory holds the
table as comparison.json, and beside it the whole run of every method.

  transreward compare hopper hopper:gravity=0.5 --methods darc,mix --seeds 5
  transreward compare halfcheetah halfcheetah:mass=2 --methods darc,oracle --target-steps 20000 --out runs/heavy

Settings of the learner and of the loop hold for all methods. Those of a gap, use, gate or feed are taken where only
one of the methods has them; otherwise name the method: --set darc.use.strength=1 sac_iw.use.high=5
"""
CHECK = """\
Look at a pair before a step is spent on training, with at most 2,000 target steps: the spaces entry by entry, what the
shift changes and moves, whether each can do what the other does, how well a classifier tells them apart, how the
rewards differ; then a verdict and the command to run next:

  same                      source and target do not differ
  transfer the policy       use the source policy unchanged
  compensate                the source can do what the target does: pay it for that
  shape on the target side  the target can do what the source cannot: train on target steps, guided by the source
  do not expect help        the source says little about the target: train from scratch there
"""
RESUME = """\
Go on with a run from its last checkpoint, as if it had never been interrupted: to the same bits where the state of its
domains can be put back (robots of the table), elsewhere with new episodes, which is said. A run writes a checkpoint
once a minute and at the end of each part; they are removed when the run is finished.
"""
REPORT = """\
One page about a run, a comparison or several runs of one pair: a verdict in a sentence, curves against target steps,
the compensation, reward terms, warnings, videos where there are some, the measured shift, and the command to repeat it.
One HTML file that opens from disk without a network. 'transfer' and 'compare' write it themselves when they end; a run
that was cut short is shown as far as it came.

  transreward report runs/first                           writes runs/first/report.html
  transreward report runs/first runs/second --out both.html
"""
PLAY = """\
Write a video of a run's policy in the source (left) and in the target (right), without exploration. It shows the
first evaluation episodes of one seed and the return so far; the curve under each robot is the compensation where the
run directory holds it, else the raw reward. --live opens MuJoCo's viewer instead, where there is a display.

  transreward play runs/x                                  runs/x/videos/play.mp4, ten seconds
  transreward play runs/x --before-after                   runs/x/videos/before.mp4 (zero-shot) and after.mp4
  transreward play runs/x/controls/fine_tune --out fine.mp4
"""
EXPORT = """\
Write the deterministic policy of one seed as ONNX (normaliser and action scaling inside), and beside it
policy_contract.json (name, unit, order and range of every observation and action, control rate, versions, hash) and
README.md, a model card. The graph is first compared with the policy on 1,000 states of real episodes, by onnxruntime.

  transreward export runs/x                                runs/x/export/policy.onnx
  transreward export runs/x/controls/fine_tune --seed 2 --out handover/policy.onnx
"""
IDS = """\
domain ids:  robot[+task][:shift[,shift...]]   halfcheetah   hopper:gravity=0.5   ant:mass(torso)=2,damping=1.5
             halfcheetah+backward   walker2d+walk(speed=1):friction=0.3   ('transreward list tasks')
             ant@turned90+direction(degrees=45)   seen turned, or in a mirror ('transreward list domains')
             gym:Pendulum-v1   package.module:factory
"""
SETTINGS = """\
settings:    --set use.strength=0.5 gap.noise=0.2 gate.clip=5 learner.learning_rate=3e-4 loop.target_robots=4
"""


FIELDS = {  # of a request in Python that are options here
    "method", "methods", "controls", "learner", "source_steps", "target_steps", "seeds", "seed", "source_run", "out",
    "log", "cotrain", "live", "size",
}  # fmt: skip


LONGEST = 120  # bytes of the name that a run directory is given; some file systems take no more than 143


class Paragraphs(argparse.HelpFormatter):
    """Prose is filled to the terminal's width; a line that is set in columns stays one, and goes on below the 2nd."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        blocks = ([block] if _prose(block) else block.splitlines() for block in text.strip().split("\n\n"))
        return "\n\n".join("\n".join(_filled(line, width) for line in block) for block in blocks)


def _prose(block: str) -> bool:
    return not any(re.search(r"^ |  ", line) for line in block.splitlines())


def _filled(text: str, width: int) -> str:
    column = re.search(r"\S\s{2,}", text)
    indent = 6 if text.startswith(" ") else 0
    if column and column.end() <= width / 2:
        indent = column.end()
    return textwrap.fill(
        text.replace("\n", " "), width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


class Parser(argparse.ArgumentParser):
    """Errors in one line."""

    def error(self, message: str) -> NoReturn:
        """One line that says what is wrong and where to look; exit code 2."""
        self.exit(2, f"{self.prog}: {message} (see '{self.prog} --help')\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. Exits with 0 when done, 2 for a wrong request, 1 for a failure, 130 when interrupted."""
    args = parser().parse_args(arguments)
    warnings.formatwarning = lambda message, *_, **__: f"transreward: {message}\n"
    try:
        with ends_at_once():
            import_modules(args.imports)
            args.run(args)
    except RequestError as error:
        sys.exit(_complain(as_options(str(error)), 2))
    except BrokenRun as error:
        sys.exit(_complain(as_options(str(error)), 1))
    except KeyboardInterrupt:  # not by a signal: a user's environment may raise it
        sys.exit(_complain("interrupted", 130))
    except BrokenPipeError:  # `transreward list ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    raw = Paragraphs
    top = Parser("transreward", description=DESCRIPTION, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"transreward {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    transfer = commands.add_parser(
        "transfer", help="move a skill", description=TRANSFER, epilog=IDS + SETTINGS, formatter_class=raw
    )
    transfer.set_defaults(run=_transfer)
    transfer.add_argument("source", nargs="?", help="domain where steps are cheap (default: halfcheetah)")
    transfer.add_argument("target", nargs="?", help="domain where steps are dear (default: halfcheetah:broken=bthigh)")
    transfer.add_argument("--method", help="a row of 'transreward list methods' (default: darc)")
    transfer.add_argument("--controls", help=f"methods run beside it, or none (default: {','.join(CONTROLS)})")
    _training_options(transfer)
    transfer.add_argument(
        "--cotrain", action="store_true", default=None, help="both domains' agents learn at once, from nothing"
    )

    compare = commands.add_parser(
        "compare", help="several methods, one table", description=COMPARE, epilog=IDS + SETTINGS, formatter_class=raw
    )
    compare.set_defaults(run=_compare)
    compare.add_argument("source", help="domain where steps are cheap")
    compare.add_argument("target", help="domain where steps are dear")
    compare.add_argument(
        "--methods", metavar="M,M", help="rows of 'transreward list methods' (default: method and controls of --config)"
    )
    _training_options(compare)

    check = commands.add_parser(
        "check",
        help="before you spend: spaces, shift, support, rewards, verdict",
        description=CHECK,
        epilog=IDS,
        formatter_class=raw,
    )
    check.set_defaults(run=_check)
    check.add_argument("source", help="domain where steps are cheap")
    check.add_argument("target", help="domain where steps are dear")
    check.add_argument("--json", action="store_true", help="one JSON object on standard output (docs/check.md)")
    check.add_argument("--source-run", metavar="DIR", help="look where an earlier run's source policy goes, too")
    check.add_argument("--target-steps", type=_whole, metavar="N", help="to take at most (default and most: 2000)")
    check.add_argument("--seed", type=_whole, metavar="S", help="of states, actions and the classifier (default: 0)")

    resume = commands.add_parser(
        "resume", help="go on with a run that was interrupted", description=RESUME, formatter_class=raw
    )
    resume.set_defaults(run=_resume)
    resume.add_argument("directory", metavar="DIR", help="its run directory")
    report = commands.add_parser(
        "report", help="a page about a run or several", description=REPORT, formatter_class=raw
    )
    report.set_defaults(run=_report)
    report.add_argument("directories", nargs="+", metavar="DIR", help="run directories of one pair")
    report.add_argument("--out", metavar="FILE", help="the page (default: report.html in the one directory)")

    lists = commands.add_parser(
        "list",
        help="domains, tasks, methods, learners or shifts, a line each",
        description="What a request can be made of. See docs/domains.md for domains, tasks and shifts.",
    )
    lists.set_defaults(run=_list)
    lists.add_argument("what", choices=("domains", "tasks", "methods", "learners", "shifts"))

    play = commands.add_parser("play", help="video of both robots", description=PLAY, formatter_class=raw)
    play.set_defaults(run=_play)
    play.add_argument("directory", metavar="DIR", help="run directory")
    play.add_argument("--out", metavar="FILE", help="the video, an .mp4 file (default: DIR/videos/play.mp4)")
    play.add_argument("--seed", type=_whole, default=0, metavar="S", help="which seed's policy, counted from 0")
    play.add_argument("--seconds", type=float, metavar="T", help="longest part of an episode to show (default: 10)")
    play.add_argument("--episodes", type=_whole, metavar="N", help="how many, one after the other (default: 1)")
    play.add_argument("--size", metavar="WxH", help="pixels of each robot's picture (default: 320x240)")
    instead = play.add_mutually_exclusive_group()
    instead.add_argument("--before-after", action="store_true", help="write the two small videos of a report instead")
    instead.add_argument(
        "--live",
        nargs="?",
        const="target",
        choices=("source", "target"),
        metavar="SIDE",
        help="open a window instead, on the target (default) or the source",
    )

    export = commands.add_parser(
        "export", help="the policy as ONNX, with its contract", description=EXPORT, formatter_class=raw
    )
    export.set_defaults(run=_export)
    export.add_argument("directory", metavar="DIR", help="run directory")
    export.add_argument("--out", metavar="FILE", help="the policy, an .onnx file (default: DIR/export/policy.onnx)")
    export.add_argument("--seed", type=_whole, default=0, metavar="S", help="which seed's policy, counted from 0")

    doctor = commands.add_parser("doctor", help="what is installed, and whether it works")
    doctor.set_defaults(run=_doctor)
    for command in commands.choices.values():
        command.add_argument(
            "--import",
            dest="imports",
            action="append",
            default=[],
            metavar="MODULE",
            help="import your module first, for its robots, gaps, methods or learners (repeatable)",
        )
    return top


def _whole(text: str) -> int:
    """Of an option's argument."""
    try:
        return whole_number(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number, such as 10000, 10_000, 10,000 or 1e4") from None


def _training_options(command: argparse.ArgumentParser) -> None:
    """What every command that trains can be told."""
    option = command.add_argument
    option("--learner", help="sac or ppo (default: the robot's preset; sac where a method needs its stored steps)")
    option("--source-steps", type=_whole, metavar="N", help="budget per seed (default: the robot's preset)")
    option("--target-steps", type=_whole, metavar="N", help="budget per seed (default: 10000)")
    option("--seeds", type=_whole, metavar="K", help="seeds trained together (default: 3)")
    option("--seed", type=_whole, metavar="S", help="the first of them (default: 0)")
    option("--source-run", metavar="DIR", help="take up an earlier run's source agent; its steps count")
    option("--out", metavar="DIR", help="run directory (default: a new one below runs/)")
    option("--no-video", dest="video", action="store_false", help="no videos beside the report (they take seconds)")
    option("--log", metavar="SINK,SINK", help="evaluations also to: tensorboard, wandb, trackio")
    option("--config", metavar="FILE", help="YAML or JSON, as config.json of a run; options here win")
    option("--set", nargs="+", action="extend", metavar="PATH=VALUE", help="any setting, see below")


def as_options(message: str) -> str:
    """An error with the fields of the request that it names as they are typed here: `source_steps` as --source-steps,
    `learner="sac"` as --learner sac, `loop.symmetry=none` as --set loop.symmetry=none."""

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if "." in name:
            return f"--set {name}={value}"
        if name == "imports":
            return "--import"
        return f"--{name.replace('_', '-')}{_typed(value)}" if name in FIELDS else found[0]

    return re.sub(r"`([a-z_]+|[a-z_.]+(?==))(?:=([^`]*))?`", option, message)


def _typed(value: str | None) -> str:
    """What follows an option: nothing for a switch, M,M for a list."""
    try:
        read = ast.literal_eval(value or "True")
    except (SyntaxError, ValueError):
        read = value
    if isinstance(read, list):
        read = ",".join(map(str, read)) or "none"
    return "" if read is True else f" {read}"


def _complain(message: object, code: int) -> int:
    print(f"transreward: {' '.join(str(message).split())}", file=sys.stderr)
    return code


# -- training ------------------------------------------------------------------------------------------------------


def _transfer(args: argparse.Namespace) -> None:
    request = _request(args)
    quiet_compilation_cache()
    from transreward.live import View
    from transreward.transfer import transfer

    def run(out: str) -> None:
        with undone(lambda: _kept(Path(out))), View(request) as view:
            result = transfer(**request, out=out, watch=view)
        view.conclude(result, out)

    _show(_run_in_its_directory(request, request.get("method", "darc"), run), args.video)


def _resume(args: argparse.Namespace) -> None:
    quiet_compilation_cache()
    from transreward.live import View
    from transreward.runs import store
    from transreward.transfer import resume

    out = args.directory
    request = store.read_json(Path(out) / "config.json")
    with undone(lambda: _kept(Path(out))), View(request) as view:
        result = resume(out, watch=view)
    view.conclude(result, out)
    _show(out, False)


def _compare(args: argparse.Namespace) -> None:
    request = _comparison_request(args)
    quiet_compilation_cache()
    from transreward.compare import compare
    from transreward.live import View

    def run(out: str) -> None:
        with undone(lambda: _kept(Path(out))), View(request) as view:
            comparison = compare(**request, out=out, watch=view)
        view.conclude_comparison(comparison, out)

    _show(_run_in_its_directory(request, "compare", run), args.video)


def _kept(directory: Path) -> str:
    """What an interrupted run leaves."""
    if (directory / "result.json").exists():
        return f"the run is finished and saved: 'transreward report {directory}' writes its page"
    if next(directory.rglob("metrics.jsonl"), None):
        further = "resume" if (directory / "state" / "request.json").exists() else "report"
        return f"the policy and metrics of the last evaluation are in {directory} ('transreward {further} {directory}')"
    return "nothing was evaluated yet, so nothing is kept"


def _show(directory: str, videos: bool) -> None:
    """What a finished run leaves to look at: its videos, where they can be made, and its report."""
    if videos:
        from transreward.runs.videos import before_and_after

        try:
            with undone(lambda: _kept(Path(directory))):
                print("videos:", *before_and_after(directory))
        except RequestError as error:  # the run is done and saved all the same
            print(as_options(str(error)))
    with undone(lambda: _kept(Path(directory))):
        _write_report([directory])


def _report(args: argparse.Namespace) -> None:
    _write_report(args.directories, args.out)


def _write_report(directories: Sequence[str], out: str | None = None) -> None:
    from transreward.runs.records import write_report

    print(f"report: {write_report(directories, out)}")


def _request(args: argparse.Namespace) -> dict[str, Any]:
    """Defaults < --config < options, as keyword arguments of `transfer`."""
    if args.source and not args.target and not args.config:
        raise RequestError(f"name a target too, such as '{args.source}:gravity=0.5' (transreward list shifts)")
    request: dict[str, Any] = {
        "source": "halfcheetah",
        "target": "halfcheetah:broken=bthigh",
        "controls": list(CONTROLS),
        **_options(args),
    }
    request["controls"] = _names(request["controls"])
    return request


def _comparison_request(args: argparse.Namespace) -> dict[str, Any]:
    """--config < options, as keyword arguments of `compare`."""
    request = _options(args)
    of_config = [*_names(str(request.pop("method", ""))), *_names(request.pop("controls", ""))]
    request["methods"] = of_config if args.methods is None else _names(args.methods)
    if request.pop("cotrain", False):
        raise RequestError("compare starts all methods from one source agent, and cotrain has none")
    return request


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """--config < options, as keyword arguments."""
    request: dict[str, Any] = {"settings": {}}
    if args.config:
        from transreward.config import read_config

        request |= read_config(Path(args.config))
    of_config = request.pop("imports", [])
    apart = ("run", "config", "set", "methods", "video", "imports")
    request |= {name: value for name, value in vars(args).items() if value is not None and name not in apart}
    if imports := [*_names(of_config), *args.imports]:
        request["imports"] = imports
    if "log" in request:
        request["log"] = _names(request["log"])
    for item in args.set or ():
        path, equals, value = item.partition("=")
        if not equals:
            raise RequestError(f"--set {item}: write PATH=VALUE, such as use.strength=0.5")
        request["settings"] = {**request["settings"], path: value}
    return request


def _names(text: str | list[str]) -> list[str]:
    """M,M as a list; a list as it is."""
    if not isinstance(text, str):
        return text
    return [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]


def _run_in_its_directory(request: dict[str, Any], what: str, run: Callable[[str], None]) -> str:
    """Run in the directory that is asked for, which is taken out of the request; or else in the first new one that
    nobody has taken since it was named."""
    from transreward.runs.store import Taken

    asked = request.pop("out", None)
    for out in _new_directories(request["target"], what) if asked is None else (asked,):
        try:
            run(out)
            return out
        except Taken:
            if asked is not None:
                raise
    raise AssertionError("numbers do not end")


def _new_directories(target: str, what: str) -> Iterator[str]:
    """Each unused runs/<target>-<what>-<number> in turn."""
    full = f"{target}-{what}"
    name = "".join(c if c.isalnum() else "-" for c in full).strip("-")
    if len(name.encode()) > LONGEST:  # cut, and still another than what else begins so
        mark = hashlib.sha256(full.encode(errors="replace")).hexdigest()[:8]
        name = f"{name.encode()[: LONGEST - len(mark) - 1].decode(errors='ignore')}-{mark}"
    return (place for n in itertools.count(1) if not Path(place := f"runs/{name}-{n}").exists())


def quiet_compilation_cache() -> None:
    """Keep compiled programs between runs, so that a second run starts at once."""
    import jax

    place = os.environ.get("TRANSREWARD_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "transreward"
    )
    jax.config.update("jax_compilation_cache_dir", place)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)


# -- looking -------------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> None:
    quiet_compilation_cache()
    from transreward.preflight.check import check

    names = ("source_run", "target_steps", "seed", "imports")
    given = {name: value for name in names if (value := getattr(args, name)) is not None}
    found = check(args.source, args.target, **given)
    if args.json:
        print(json.dumps(found.as_json(), allow_nan=False))
        return
    from transreward.preflight.show import show

    show(found)


def _play(args: argparse.Namespace) -> None:
    from transreward.runs import videos

    given = {name: value for name in ("seconds", "episodes") if (value := getattr(args, name)) is not None}
    if args.size is not None:
        given |= _size(args.size)
    if args.before_after:
        if given or args.out:
            raise RequestError("--before-after has its own sizes and places: leave --out, --size and times away")
        written = videos.before_and_after(args.directory, args.seed)
    elif args.live:
        return videos.live(args.directory, args.live, args.seed, given)
    else:
        written = [videos.play(args.directory, args.out, args.seed, given)]
    for path in written:
        print(f"video  {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _size(text: str) -> dict[str, int]:
    width, times, height = text.lower().partition("x")
    if not (times and width.isdigit() and height.isdigit()):
        raise RequestError(f"--size {text}: write WIDTHxHEIGHT in pixels, such as 320x240")
    return {"width": int(width), "height": int(height)}


def _export(args: argparse.Namespace) -> None:
    from transreward.runs.export import LIMIT, STATES, export

    done = export(args.directory, args.out, args.seed)
    print(f"policy    {done.onnx}: differs by {done.max_error:.1e} on {STATES:,} states of real episodes (< {LIMIT:g})")
    print(f"contract  {done.contract}")
    print(f"card      {done.card}")


def _list(args: argparse.Namespace) -> None:
    tables = {
        "domains": _domains, "tasks": _tasks, "methods": _methods, "learners": _learners, "shifts": _shifts
    }  # fmt: skip
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # a pipe gets a line each
    print("\n".join(_laid_out(tables[args.what](), width)))


def _laid_out(rows: list[tuple[str, str]], width: int | None) -> list[str]:
    """Names and texts in two columns, or a text below its name where that is narrow; a text may have two parts."""
    names = max(len(name) for name, _ in rows)
    if width is None:
        return [f"{name:{names}}  {text}".replace("\n", "  ") for name, text in rows]
    below = names + 2 > width / 3
    lines = []
    for name, text in rows:
        indent = " " * (4 if below else names + 2)
        parts = (textwrap.wrap(p, width, initial_indent=indent, subsequent_indent=indent) for p in text.split("\n"))
        first, *others = [line for part in parts for line in part]
        lines += [name, first, *others] if below else [f"{name:{names}}{first[names:]}", *others]
    return lines


def _domains() -> list[tuple[str, str]]:
    from transreward.domains.robots import ROBOTS
    from transreward.domains.symmetries import SYMMETRIES

    def seen(name: str) -> str:
        return f"; seen also as @{', @'.join(SYMMETRIES[name])}" if name in SYMMETRIES else ""

    others = [
        ("gym:Id", "any Gymnasium environment with Box spaces, also gym:module:Id"),
        ("package.module:factory", "your own: a function that makes a Domain or a Gymnasium environment"),
    ]
    rows = [(n, f"{r.episode_steps} steps, reward = {' + '.join(r.terms)}{seen(n)}") for n, r in ROBOTS.items()]
    return rows + others


def _methods() -> list[tuple[str, str]]:
    from transreward.methods import METHODS, Method, cells

    def choices(m: Method) -> tuple[str, ...]:
        gap, use = (part.name if part else "-" for part in (m.gap, m.use))
        learner = "off-policy" if m.off_policy else "any" if m.feed or m.start == "oracle" else "-"
        return gap, use, str(m.feed or "-"), learner, "yes" if m.needs_target_reward else "no"

    head = ("gap", "use", "feed", "learner", "target reward")
    rows = [head, *(choices(m) for m in METHODS.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    about = ["what it does; paper", *(f"{m.summary}; {m.paper}" for m in METHODS.values())]
    named = zip(("method", *METHODS), lines, about, strict=True)
    uses: dict[str, list[str]] = {}  # by the gaps that go with them
    for use, gaps in cells().items():
        uses.setdefault(", ".join(gaps), []).append(use)
    text = "; ".join(f"{', '.join(names)} of {gaps}" for gaps, names in uses.items())
    return [*((name, f"{line.rstrip()}\n{text}") for name, line, text in named), ("use(gap)", f"any cell: {text}")]


def _learners() -> list[tuple[str, str]]:
    from transreward.presets import LEARNERS, PRESETS

    def suits(name: str) -> str:
        robots = [robot for robot, row in PRESETS.items() if row.chosen == name]
        return f" Default of {', '.join(robots)}." if robots else ""

    return [(name, f"{(kind.__doc__ or '').splitlines()[0]}{suits(name)}") for name, kind in LEARNERS.items()]


def _tasks() -> list[tuple[str, str]]:
    from transreward.domains.robots import ROBOTS
    from transreward.domains.tasks import TASKS

    def able(kind: Any) -> str:
        robots = [robot.name for robot in ROBOTS.values() if kind.suits(robot)]
        return "all robots" if len(robots) == len(ROBOTS) else ", ".join(robots)

    rows = [(kind.usage, f"{kind.doc}; {able(kind)}") for kind in TASKS.values()]
    return [*rows, ("package.module:function", "your own reward, a function of (obs, action, next_obs); all robots")]


def _shifts() -> list[tuple[str, str]]:
    from transreward.domains.shifts import SHIFTS

    return [(kind.usage, kind.doc) for kind in SHIFTS.values()]


def _doctor(args: argparse.Namespace) -> None:
    from transreward.doctor import report

    if not report():
        sys.exit(1)
