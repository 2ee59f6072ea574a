"""Trains every config that an experiment file yields."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from bnnjax.report import record as record_lib
from bnnjax.train import config_file, loop


def run(
  experiment: str,
  record: str | None = None,
  runs: str = "runs",
  load: Sequence[str] = (),
) -> Path:
  """Runs `sweep()` of a file; what is on record already is left out.

  Args:
    experiment: Python file whose `sweep()` yields config specs.
    record: file of the records; `results/NAME.jsonl` beside the experiment if
      none.
    runs: folder of the workdirs.
    load: files of `--load`, which the configs remember.

  Returns:
    The file of the records.

  Raises:
    ValueError: no `sweep()`, or a config that is refused, before the first run.
    FileNotFoundError: no such file.
  """
  file = Path(experiment)
  if not file.exists():
    raise FileNotFoundError(f"No experiment {file}.")
  sys.path.insert(0, str(file.parent))  # an experiment may import its sibling
  try:
    made = runpy.run_path(str(file))
  finally:
    sys.path.remove(str(file.parent))
  if "sweep" not in made:
    raise ValueError(f"{file} has no function `sweep()`.")
  path = Path(record or file.parent / "results" / f"{file.stem}.jsonl")
  done = {r["name"] for r in record_lib.read(path)} if path.exists() else set()
  configs = {
    config_file.name_of(spec): config_file.read(spec, load=load)
    for spec in made["sweep"]()
  }
  for number, (name, config) in enumerate(configs.items(), 1):
    print(
      f"[{number}/{len(configs)}] {name}{' (done)' if name in done else ''}"
    )
    if name not in done:
      loop.train(config, f"{runs}/{file.stem}/{name}", name=name, record=path)
  return path
