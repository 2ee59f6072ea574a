"""A sweep of float teachers and the binary students that learn from them.

Every seed has its own teacher, in the workdir that `bnnjax sweep` gives it.
"""

from collections.abc import Iterator, Sequence

from bnnjax.train import config_file

FLOAT = "float"


def specs(
  config: str,
  experiment: str,
  methods: Sequence[str],
  seeds: int,
  options: str = "",
) -> Iterator[str]:
  """Config specs: for each seed the float network, then its students.

  Args:
    config: a file that takes `method`, `teacher` and `seed`.
    experiment: name of the experiment's file, and so of the folder of its runs.
    methods: the students' methods.
    seeds: number of seeds.
    options: further arguments of the config, for all runs.
  """
  rest = f",{options}" if options else ""
  for seed in range(seeds):
    teacher = f"{config}:method={FLOAT}{rest},seed={seed}"
    yield teacher
    workdir = f"runs/{experiment}/{config_file.name_of(teacher)}"
    for method in methods:
      yield f"{config}:method={method},teacher={workdir}{rest},seed={seed}"
