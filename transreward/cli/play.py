"""transreward play"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from transreward.cli.options import whole
from transreward.types import RequestError

HELP = "video of both robots"
ABOUT = """\
Write a video of a run's policy in the source (left) and in the target (right), without exploration. It shows the
first evaluation episodes of one seed and the return so far; the curve above each robot is the compensation where the
run directory holds it, else the raw reward. --live opens MuJoCo's viewer instead, where there is a display.

  transreward play runs/x                 runs/x/videos/play.mp4, ten seconds
  transreward play runs/x --before-after  before.mp4 (zero-shot) and after.mp4
  transreward play runs/x --out fine.gif  for a page, by the ending
  transreward play runs/x --out strip.pdf for paper: six pictures of an episode of each robot; or .png
  transreward play runs/x runs/y --out both.mp4   several runs in one film, or in one strip
"""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directories", nargs="+", metavar="DIR", help="run directory, or several for one film")
    out = "an .mp4, .gif or .webp, or a strip as .png or .pdf (default, of one DIR: DIR/videos/play.mp4)"
    command.add_argument("--out", metavar="FILE", help=out)
    command.add_argument("--seed", type=whole, default=0, metavar="S", help="which seed's policy, counted from 0")
    command.add_argument("--seconds", type=float, metavar="T", help="longest part of an episode to show (default: 10)")
    command.add_argument("--episodes", type=whole, metavar="N", help="how many, one after the other (default: 1)")
    command.add_argument("--pictures", type=whole, metavar="N", help="of a strip (default: 6)")
    command.add_argument("--size", metavar="WxH", help="pixels of each robot's picture (default: 320x240)")
    instead = command.add_mutually_exclusive_group()
    instead.add_argument("--before-after", action="store_true", help="write the two small videos of a report instead")
    instead.add_argument(
        "--live",
        nargs="?",
        const="target",
        choices=("source", "target"),
        metavar="SIDE",
        help="open a window instead, on the target (default) or the source",
    )


def run(args: argparse.Namespace) -> None:
    from transreward.reports.films import play, poster

    given = {name: value for name in ("seconds", "episodes") if (value := getattr(args, name)) is not None}
    if args.size is not None:
        given |= _size(args.size)
    if args.before_after or args.live:
        if len(args.directories) > 1 or args.pictures is not None:
            raise RequestError("--before-after and --live are of one DIR, and no strip")
        (directory,) = args.directories
    if args.before_after:
        if given or args.out:
            raise RequestError("--before-after has its own sizes and places: leave --out, --size and times away")
        written = play.before_and_after(directory, args.seed)
    elif args.live:
        return play.live(directory, args.live, args.seed, given)
    else:
        written = [_written(args, given)]
    for path in written:
        print(f"{'strip' if path.suffix in poster.ENDINGS else 'video'}  {path} ({_size_of(path)})")


def _written(args: argparse.Namespace, given: dict[str, float]) -> Path:
    """The film of one run, or what several share, or a strip."""
    from transreward.reports.films import play, video

    alone = len(args.directories) == 1 and args.pictures is None
    if alone and (args.out is None or Path(args.out).suffix in video.ENDINGS):
        return play.play(args.directories[0], args.out, args.seed, given)
    if args.out is None:
        raise RequestError("name the file of several runs, or of a strip, by --out, such as both.mp4 or strip.pdf")
    return play.play_all(args.directories, args.out, args.seed, given, args.pictures)


def _size_of(path: Path) -> str:
    """Of a file, in words."""
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{max(1, round(size / 1e3))} kB"


def _size(text: str) -> dict[str, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text.lower())
    if found is None:
        raise RequestError(f"--size {text}: write WIDTHxHEIGHT in pixels, such as 320x240")
    return {"width": int(found[1]), "height": int(found[2])}
