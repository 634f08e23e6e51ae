"""transreward report"""

from __future__ import annotations

import argparse

from transreward.cli.directory import write_page

HELP = "a page about a run or several"
ABOUT = """\
One page about a run, a comparison or several runs of one pair: a verdict in a sentence, curves against target steps,
the compensation, reward terms, warnings, videos where there are some, the measured shift, and the command to repeat it.
One HTML file that opens from disk without a network. 'transfer' and 'compare' write it themselves when they end; a run
that was cut short is shown up to its latest evaluation.

  transreward report runs/first             writes runs/first/report.html
  transreward report runs/first runs/second --out both.html
  transreward report runs/first --out table.tex curves.pdf

For a paper the ending says what is written: tex, md and csv are the table, pdf, svg and png the curves. Of a study,
'transreward study report DIR' does the same.
"""
EPILOG = ""


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("directories", nargs="+", metavar="DIR", help="run directories of one pair")
    command.add_argument(
        "--out", nargs="+", metavar="FILE", help="the page (default: report.html in the one directory), or for a paper"
    )
    command.add_argument(
        "--columns", type=int, default=1, help="that a figure spans on a paper's page: 1 (the default) or 2"
    )


def run(args: argparse.Namespace) -> None:
    write_page(args.directories, args.out or [], args.columns)
