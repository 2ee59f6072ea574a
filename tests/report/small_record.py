"""A record with little in it."""

from bnnjax.report import record


def make(name="net-seed=0", seed=0, accuracy=0.5):
  return record.Record(
    name=name,
    config={"seed": seed},
    seed=seed,
    metrics={"accuracy": accuracy},
    cost={"ace": 1000, "bops": 10, "weight_bytes": 5},
    wall_seconds=90.0,
  ).to_json()
