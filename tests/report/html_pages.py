"""Pages of synthetic runs, and what a page embeds."""

import copy
import functools
import json
import re

from bnnjax.report import html, record, runs
from bnnjax.train import config_file, repeat
from bnnjax.train import workdir as workdir_lib

CONFIG = "configs/fashion_mnist_resnet.py"
COST = {
  "name": "ResNet",
  "macs": {"w1a1": 2465280, "w32a32": 86720},
  "ace": 24665600,
  "bops": 2465280,
  "energy_pj": {"45nm": 486900.5487303708, "7nm": 168423.66601140753},
  "bits_per_weight": 3.106497820220054,
  "weight_bytes": 22592,
  "weight_bytes_by_convention": {"packed": 22592, "deployed": 29928},
  "warnings": ["zero padding makes an operand over {-1,+1} ternary. " * 20],
  "definitions": 1,
}
METHODS = ("biper", "bireal", "fda", "float", "irnet", "recu", "reste", "ste")
RUN = (
  "of", "seed", "y", "seconds", "device", "commit", "name", "command",
  "difference",
)  # fmt: skip
GROUP = (
  "task", "network", "method", "bits", "name", "y", "spread", "n", "size",
  "cost", "cpu",
)  # fmt: skip


@functools.cache
def base():
  config = workdir_lib.to_json(config_file.read(f"{CONFIG}:method=biper"))
  return record.Record("", config, 0, {}, COST, 1.0).to_json()


def make(number=0, seed=0, accuracy=0.5):
  """A record as large as those of experiments."""
  made = copy.deepcopy(base())
  method = METHODS[number % len(METHODS)]
  made |= {
    "id": f"{number}-{seed}",
    "name": f"fashion_mnist_resnet-method={method}-seed={seed}",
    "seed": seed,
    "metrics": {"accuracy": accuracy, "loss": 1.0},
    "wall_seconds": 100.0 + number,
  }
  made["config"]["model"] |= {"weight": method, "act": method}
  made["config"]["seed"] = seed
  made["config"]["optim"]["lr"] = 0.001 * (1 + number)
  made["cost"]["ace"] = 1000 * (1 + number % 50)
  return made


def page(*records, **options):
  command = repeat.Commands().of
  return html.page(runs.Runs(records), command=command, **options)


def data(text):
  """What a page embeds, with texts in place of indices into words."""
  found = re.search(r'id="data">(.*?)</script>', text, re.S)
  held = json.loads(found[1], parse_constant=_no_json)

  def words(ids):
    return [held["words"][i] for i in (ids if isinstance(ids, list) else [ids])]

  held["runs"] = [dict(zip(RUN, row)) for row in held["runs"]]
  held["groups"] = [dict(zip(GROUP, row)) for row in held["groups"]]
  for row in held["runs"] + held["groups"]:
    for key in row.keys() & {"device", "commit", "name", "command", "method"}:
      row[key] = "".join(words(row[key]))
  for row in held["runs"]:
    row["difference"] = words(row["difference"])
  for group in held["groups"]:
    group["costs"] = [*held["costs"][group["cost"]], group["cpu"]]
  return held


def _no_json(name):
  raise ValueError(f"{name} is no JSON.")
