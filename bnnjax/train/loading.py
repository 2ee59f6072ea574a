"""A trained network, from Python."""

from collections.abc import Sequence

from etils import epath
from flax import nnx
from ml_collections import ConfigDict

from bnnjax import plugin_files
from bnnjax.core import registry
from bnnjax.train import config_file, setup
from bnnjax.train import workdir as workdir_lib
from bnnjax.train.checkpoint import KINDS


def load(
  workdir: epath.PathLike, kind: str = "last", *, files: Sequence[str] = ()
) -> tuple[nnx.Module, ConfigDict]:
  """The model of a run, ready to be called, and the run's config.

  It is what `bnnjax eval` evaluates: the deployed network, until `train()` says
  otherwise.

  Args:
    workdir: of a finished or running run.
    kind: `"last"` or `"best"` checkpoint.
    files: Python files that register names, run first; by default those that
      the run was trained with (`--load`).

  Raises:
    UserError: no run there, no such checkpoint, it is damaged, or its config
      was changed.

  Example:
    >>> model, config = bx.load("runs/fashion_mnist_resnet")
    >>> logits = model(images)
  """
  if kind not in KINDS:
    raise registry.unknown("checkpoint", kind, KINDS)
  for file in files or plugin_files.remembered(workdir):
    config_file.run(file)
  config = workdir_lib.read_config(workdir)
  network, state, _ = setup.restore(config, workdir, kind)
  return network.merge(state), config
