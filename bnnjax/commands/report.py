"""`bnnjax report`."""

import argparse
import os
import sys
from pathlib import Path

from bnnjax.commands import output
from bnnjax.commands.command import Command, argument
from bnnjax.errors import UserError
from bnnjax.report import markers

EXAMPLES = f"""\
  bnnjax report README.md
  bnnjax report README.md --check
  bnnjax report experiments/results/*.jsonl
  bnnjax report runs.jsonl --by=method,optim.lr --filter=bits=w1a1 --csv
  bnnjax report experiments/results --html=runs.html

Of a markdown file it replaces the lines between these markers. Each marker has a
line of its own; FILE is relative to the markdown file's folder and lies inside
it:
{markers.SYNTAX}
Of files of records it prints a table of each task, with a row for each config, or
for each value of the fields of --by: a path in the config (optim.lr), name,
network, method, bits, device, cost.ace, ... Rows that share a letter do not
differ. What is no record is named and skipped."""

PAGE = "README.md"
_ENDINGS = (".md", ".markdown")
_OF_RECORDS = (
  "by",
  "metric",
  "baseline",
  "filter",
  "csv",
  "latex",
  "out",
  "html",
)
_OF_TABLES = ("by", "metric", "baseline", "csv", "latex", "out")


def check(args: argparse.Namespace) -> None:
  """Raises unless the files are a page, or records, and the options fit."""
  files = args.files or [PAGE]
  pages = [file for file in files if file.endswith(_ENDINGS)]
  if pages:
    if len(files) > 1:
      raise UserError(
        f"Give one markdown file, or files of records: got {pages[0]!r} and"
        f" {len(files) - 1} more."
      )
    if not os.path.isfile(pages[0]):
      raise UserError(f"There is no markdown file {pages[0]!r}.")
    for name in _OF_RECORDS:
      if getattr(args, name):
        raise UserError(
          f"--{name} is for files of records (*.jsonl): {pages[0]} is markdown."
        )
    return
  if args.check:
    raise UserError("--check is for a markdown file: got files of records.")
  if args.csv and args.latex:
    raise UserError("Give one of --csv and --latex.")
  given = [name for name in _OF_TABLES if getattr(args, name)]
  if args.html and given:
    raise UserError(
      f"--html writes a page of all runs: leave out --{given[0]}."
    )
  for file in filter(None, (args.out, args.html)):
    output.check(file, _inputs(args.files))
  for text in args.filter:
    _wanted(text)


def _inputs(files: list[str]) -> list[str]:
  from bnnjax.report import reading  # takes time to import

  return reading.files(files)


def _wanted(text: str) -> tuple[str, str]:
  """Field and value of `--filter=FIELD=VALUE`."""
  field, given, value = text.partition("=")
  if not field or not given:
    raise UserError(
      f"--filter takes FIELD=VALUE, e.g. --filter=bits=w1a1: got {text!r}."
    )
  return field, value


def reads_records(args: argparse.Namespace) -> bool:
  return bool(args.files) and not args.files[0].endswith(_ENDINGS)


def run(args: argparse.Namespace) -> int:
  """Writes the page, or says whether it is up to date; or reports records."""
  if reads_records(args):
    return _report(args)
  return _page(Path(args.files[0] if args.files else PAGE), args.check)


def _page(file: Path, only_check: bool) -> int:
  from bnnjax.report import pages

  try:
    old = file.read_bytes().decode()
  except UnicodeDecodeError as error:
    raise UserError(f"{file} is not UTF-8 text ({error}).") from error
  new, found = markers.replace(old, pages.makers(file.parent))
  if not found:
    raise UserError(
      f"{file} has no markers, between which tables are written:"
      f" {markers.SYNTAX} See `bnnjax report -h`."
    )
  if only_check:
    print(f"{file} is {'up to date' if old == new else 'stale'}")
    return int(old != new)
  if old != new:
    _write(file, new)
  return 0


def _report(args: argparse.Namespace) -> int:
  from bnnjax.report import comparability, reading
  from bnnjax.report import runs as runs_lib

  runs = runs_lib.load(*args.files)
  if not runs.records:
    why = "; ".join(map(str, runs.skipped[: reading.SHOWN]))
    raise UserError(f"There are no records: {why}.")
  for line in reading.say(runs.skipped):
    print(f"bnnjax report: {line}.", file=sys.stderr)
  for text in args.filter:
    field, value = _wanted(text)
    runs = runs.filter(**{field: value})
  if args.html:
    from bnnjax.report import html
    from bnnjax.train import repeat

    _write(Path(args.html), html.page(runs, command=repeat.Commands().of))
    return 0
  options = {"baseline": args.baseline or None}
  try:
    table = runs.table(args.by or None, args.metric or None, **options)
  except comparability.MixedRow as error:
    said = error.advised("--by={}", "--filter=FIELD=VALUE")
    raise UserError(said) from error
  if args.csv:
    text = table.to_csv()
  else:
    text = table.to_latex() if args.latex else table.to_markdown()
  if args.out:
    _write(Path(args.out), text)
  else:
    print(text, end="")
  return 0


def _write(file: Path, text: str) -> None:
  output.write({file: text.encode()})


COMMAND = Command(
  "Print tables of records, or regenerate those of a markdown file.",
  EXAMPLES,
  run,
  arguments=(
    argument(
      "files",
      f"a markdown file, or files and folders of records (default: {PAGE})",
      nargs="*",
      metavar="FILE",
    ),
    argument(
      "--check",
      "only say whether the markdown file is up to date",
      action="store_true",
    ),
    argument(
      "--by",
      "fields that make a row (default: the config)",
      metavar="FIELD,...",
    ),
    argument("--metric", "the metric (default: the headline of each task)"),
    argument(
      "--baseline",
      "row that others are compared with (default: the float one)",
      metavar="ROW",
    ),
    argument(
      "--filter",
      "only runs whose field has this value; may be repeated",
      action="append",
      default=[],
      metavar="FIELD=VALUE",
    ),
    argument("--csv", "print CSV", action="store_true"),
    argument("--latex", "print LaTeX (booktabs)", action="store_true"),
    argument("--out", "file to write instead of printing", metavar="FILE"),
    argument("--html", "write a page to explore the runs", metavar="FILE"),
  ),
  check=check,
  reads_records=reads_records,
)
