"""Records with what a Pareto figure reads."""

import itertools

IDS = itertools.count()


def make(name, accuracies, ace=1000, **changes):
  """A record for each seed; `accuracies` are in %, from seed 0 on.

  `changes`: `method`, `model`, `bops`, `definitions`, `data`, `metrics`, `cost`
  (the last three are added to the record's own).
  """
  method = changes.get("method", name)
  found = []
  for seed, accuracy in enumerate(accuracies):
    found.append(
      {
        "id": f"run{next(IDS)}",
        "name": f"{name}-seed={seed}",
        "config": {
          "data": {
            "name": "digits",
            "train_split": "train",
            "eval_split": "test",
            **changes.get("data", {}),
          },
          "model": {
            "name": changes.get("model", "mlp"),
            "weight": method,
            "act": method,
          },
          "task": {"name": "classification"},
          "seed": seed,
        },
        "seed": seed,
        "commit": None,
        "versions": {},
        "device": "1 x cpu",
        "metrics": {"accuracy": accuracy / 100, **changes.get("metrics", {})},
        "cost": {
          "ace": ace,
          "bops": changes.get("bops", 0),
          "macs": {"w1a1": 10, "w32a32": 1},
          "definitions": changes.get("definitions", 1),
          **changes.get("cost", {}),
        },
        "wall_seconds": 60.0,
      }
    )
  return found
