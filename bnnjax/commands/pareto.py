"""`bnnjax pareto`."""

import argparse
import os
import pathlib

from bnnjax.commands import output
from bnnjax.commands.command import Command, argument
from bnnjax.errors import UserError
from bnnjax.report import axes

NAME = "pareto"
ENDINGS = (".svg", ".pdf", ".png", ".csv", ".tex", ".html")
EXAMPLES = """\
  bnnjax pareto experiments/results/*.jsonl
  bnnjax pareto experiments/results/*.jsonl --published --out=published
  bnnjax pareto runs.jsonl --axis=bytes --metric=loss --by=optim.lr

One panel for each task. The step line joins the points that no other one beats
in the means; an open point is dominated: another one costs no more and is better
beyond the 95 % interval of the difference. It writes PREFIX.svg, .pdf and .png,
and all points as PREFIX.csv and PREFIX.tex. Figures need the extra `plots`.
"""


def check(args: argparse.Namespace) -> None:
  """Raises if an axis does not exist, or the files cannot be written."""
  axes.axis(args.axis)
  if args.published and args.axis != "ace":
    raise UserError(
      "Published points are shown against ACE: leave out --axis, or"
      f" --published; got --axis={args.axis}."
    )
  prefix = prefix_of(args.out, args.files)
  folder = prefix.parent
  if not folder.is_dir():
    raise UserError(
      f"--out={args.out}: there is no folder {str(folder)!r}. Make it first."
    )
  from bnnjax.report import reading  # takes time to import

  inputs = reading.files(args.files)
  for ending in ENDINGS:
    output.check(prefix.with_name(prefix.name + ending), inputs)


def prefix_of(out: str | None, files: list[str]) -> pathlib.Path:
  """What the names of the written files begin with.

  Args:
    out: what the person gave: a prefix, one of the files, or a folder.
    files: records. Without `out`, the figure lies beside them if they share a
      folder, else in the current one.
  """
  if out:
    path = pathlib.Path(out)
    if out.endswith(("/", os.sep)) or path.is_dir():
      return path / NAME
    return path.with_suffix("") if path.suffix in ENDINGS else path
  paths = [pathlib.Path(f) for f in files]
  folders = {p if p.is_dir() else p.parent for p in paths}
  shared = len(folders) == 1 and next(iter(folders)).is_dir()
  return (folders.pop() if shared else pathlib.Path()) / NAME


def run(args: argparse.Namespace) -> int:
  """Prints the fronts; writes the figure and its tables."""
  from bnnjax.report import pareto_table, published, reading
  from bnnjax.report import runs as runs_lib
  from bnnjax.report.figures import figure
  from bnnjax.report.figures import pareto as pareto_figure

  runs = runs_lib.load(*args.files)
  for line in reading.say(runs.skipped):
    print(line)
  found = runs.pareto(args.axis, args.metric, by=args.by)
  others = published.top1_against_ace() if args.published else []
  drawn = figure.render(
    pareto_figure.panels(found, args.published), pareto_figure.notes(found)
  )
  files = {f".{name}": data for name, data in drawn.items()}
  files[".csv"] = pareto_table.to_csv(found, others).encode()
  files[".tex"] = pareto_table.to_latex(found, others).encode()
  if args.html:
    from bnnjax.report import html
    from bnnjax.train import repeat

    command = repeat.Commands().of
    files[".html"] = html.page(
      runs, metric=args.metric, axis=args.axis, command=command
    ).encode()
  print(pareto_table.to_text(found))
  prefix = prefix_of(args.out, args.files)
  written = {
    prefix.with_name(prefix.name + ending): data
    for ending, data in files.items()
  }
  output.write(written)
  print(f"written: {', '.join(map(str, written))}")
  return 0


COMMAND = Command(
  "Draw accuracy against cost, with the Pareto front of every task.",
  EXAMPLES,
  run,
  arguments=(
    argument(
      "files",
      "files of records, or folders of them",
      nargs="*",
      metavar="FILE",
    ),
    argument(
      "--published",
      "also draw published ImageNet accuracies against ACE, in their own panel",
      action="store_true",
    ),
    argument("--axis", "the cost", default="ace", metavar="|".join(axes.AXES)),
    argument(
      "--metric", "the vertical axis (default: the headline of each task)"
    ),
    argument(
      "--by",
      "field that names points in the figure, e.g. bits, model.width (default:"
      " the method)",
      metavar="FIELD",
    ),
    argument(
      "--out",
      "what the names of the files begin with (default: pareto, beside the"
      " records if they share a folder)",
      metavar="PREFIX",
    ),
    argument(
      "--html", "also write a page to explore the runs", action="store_true"
    ),
  ),
  needed=("files",),
  check=check,
  reads_records=lambda args: True,
)
