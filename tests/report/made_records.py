"""Records without a run."""

import copy
import json

CONFIG = {
  "data": {
    "name": "fashion_mnist", "train_split": "train[:10000]",
    "eval_split": "test", "shape": [14, 14, 1], "options": {},
  },
  "epochs": 20.0,
  "model": {"name": "resnet", "variant": "8"},
  "optim": {"lr": 0.01, "options": {}},
  "seed": 0,
  "task": {"name": "classification"},
}  # fmt: skip
COST = {
  "macs": {"w1a1": 900, "w32a32": 100},
  "ace": 26500,
  "bops": 900,
  "bits_per_weight": 1.5,
  "weight_bytes_by_convention": {"deployed": 40},
  "energy_pj": {"45nm": 2e6},
  "definitions": 1,
}
FLOAT = {**COST, "macs": {"w32a32": 1000}, "ace": 256000, "bops": 0}


def make(method="ste", seed=0, accuracy=0.5, changes=None, **fields):
  """A record; `changes` are fields of the config by dotted path."""
  config = copy.deepcopy(CONFIG)
  config["seed"] = seed
  config["model"] |= {"weight": method, "act": method}
  for path, value in (changes or {}).items():
    *groups, last = path.split(".")
    inner = config
    for group in groups:
      inner = inner[group]
    inner[last] = value
  return {
    "id": f"{method}-{seed}-{accuracy}-{json.dumps(changes)}",
    "name": f"net-method={method}-seed={seed}",
    "config": config,
    "seed": seed,
    "commit": None,
    "versions": {"jax": "0.10.2"},
    "device": "1 x cpu",
    "metrics": {"accuracy": accuracy},
    "cost": FLOAT if method == "float" else COST,
    "wall_seconds": 60.0,
    "examples": {"train": 10_000, "eval": 10_000},
    **fields,
  }


def write(path, records):
  path.write_text("".join(json.dumps(r) + "\n" for r in records))
  return path
