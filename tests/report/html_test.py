"""The HTML page: its size, hostile text in records, commands."""

import gzip
import html.parser
import json
import re
import shlex

import pytest

from bnnjax import arguments, errors
from bnnjax.errors import UserError
from bnnjax.report import html as page_lib
from bnnjax.report import runs
from bnnjax.train import config_file
from bnnjax.train import workdir as workdir_lib
from tests.report.html_pages import data, make, page

ODD = (
  "</script><script>alert(1)</script>", "<!-- data -->", "<b>&amp;", "\"'`",
  "\u2028\u2029", "\x00\x1b[31m", "\u202eevil", "\ud800", "<!-- title -->",
)  # fmt: skip


class Tags(html.parser.HTMLParser):
  """The tags of a page, and what its script elements hold."""

  def __init__(self, text):
    super().__init__()
    self.opened, self.references = [], []
    self.feed(text)
    self.close()

  def handle_starttag(self, tag, attrs):
    self.opened.append(tag)
    given = dict(attrs)
    self.references += [
      given[key] for key in ("src", "href", "action") if key in given
    ]


def test_five_hundred_runs_are_small():
  made = page(*(make(n, 0, n / 1009) for n in range(500)))  # no two alike
  assert len(made) <= 120_000
  assert len(gzip.compress(made.encode())) <= 40_000
  assert len(data(made)["runs"]) == 500


def test_the_page_needs_nothing_else():
  made = page(make())
  assert made.isascii()
  assert "http" not in made
  assert "@import" not in made
  assert "url(" not in made
  tags = Tags(made)
  assert tags.references == ["data:,"]
  assert tags.opened.count("script") == 2
  assert tags.opened.count("link") == 1


@pytest.mark.parametrize("odd", ODD)
def test_text_of_a_record_is_no_markup(odd):
  record = make() | {"name": odd, "device": odd, "commit": odd}
  record["config"]["model"] |= {"name": odd, "weight": odd, "act": odd}
  record["config"]["data"]["name"] = odd
  record["config"][odd] = odd
  made = page(record, make(1), title=odd)
  plain = page(make(0) | {"name": "plain"}, make(1))
  made.encode("ascii")
  assert Tags(made).opened.count("script") == 2
  assert Tags(made).opened.count("tr") == Tags(plain).opened.count("tr")
  assert set(Tags(made).opened) == set(Tags(plain).opened)
  run = next(run for run in data(made)["runs"] if run["of"] == 0)
  # What a reader cannot see is written out.
  assert run["device"] == errors.one_paragraph(odd)
  assert all(text.isprintable() for text in (run["name"], *run["difference"]))


def test_commands_give_the_configs_of_their_records():
  records = [make(number, seed=number % 2) for number in range(4)]
  seen = data(page(*records))["runs"]
  configs = {record["name"]: record["config"] for record in records}
  assert len(seen) == 4
  for run in seen:
    program, *words = shlex.split(run["command"])
    assert program == "bnnjax"
    args = arguments.parse(words)
    config = config_file.read(args.config, args.overrides)
    assert workdir_lib.to_json(config) == configs[run["name"]]


def test_a_run_whose_command_is_not_known_says_why():
  (run,) = data(page(make() | {"name": "mine"}))["runs"]
  assert run["command"] == (
    "The folder 'configs' has no config file of its name."
  )


def test_no_runs():
  made = page()
  assert "No runs." in made
  assert data(made)["groups"] == []


def test_skipped_lines_are_named(tmp_path):
  path = tmp_path / "r.jsonl"
  path.write_text(json.dumps(make()) + "\n<i>\n")
  made = page_lib.page(runs.load(path))
  assert "r.jsonl, line 2" in made
  assert "<i>" not in made


def test_a_reader_without_script_finds_a_table():
  made = page(make(0, 0, 0.5), make(0, 1, 0.7))
  table = re.search("<noscript>(.*?)</noscript>", made, re.S)[1]
  assert "accuracy, %: 60.00 &#177; 14.14" in table
  assert "<td>1,000" in table


@pytest.mark.parametrize(
  ("options", "message"),
  [({"axis": "aces"}, "Did you mean 'ace'"), ({"metric": "los"}, "'loss'")],
)
def test_names_that_do_not_exist(options, message):
  with pytest.raises(UserError, match=message):
    page(make(), **options)
