"""A small Mamba-2 and its 1-bit students on Shakespeare's plays.

  bnnjax sweep experiments/plays_lm.py

It trains a float Mamba-2, 1-bit ones that learn from it or from labels, and a
1-bit decoder with the same number of steps each; it also binarizes the float
one without training. The runs do not choose their learning rates on a held-out
split yet, so no page reports them.
"""

from bnnjax.train import config_file

CONFIG = "configs/plays_lm.py"
SEEDS = 3


def sweep():
  """Config specs, one for each run: for each seed the teacher first."""
  for seed in range(SEEDS):
    teacher = f"{CONFIG}:method=float,seed={seed}"
    workdir = f"runs/plays_lm/{config_file.name_of(teacher)}"
    low = f"{CONFIG}:method=bi_mamba"
    yield teacher
    yield f"{low},init={workdir},posthoc,seed={seed}"
    yield f"{low},teacher={workdir},seed={seed}"
    yield f"{low},seed={seed}"
    decoder = f"{CONFIG}:model=decoder,method=fbi_llm"
    yield f"{decoder},teacher={workdir},seed={seed}"
