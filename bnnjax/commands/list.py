"""`bnnjax list`."""

import argparse

from bnnjax.commands.command import Command, argument

KINDS = {
  "method": "what one paper prescribes",
  "estimator": "low-bit values and their surrogate gradient",
  "scale": "float factor of low-bit values",
  "transform": "what happens to a tensor before it is binarized",
  "schedule": "hyper-parameter that changes during the run",
  "output": "scale of a layer's output",
  "grad": "quantizer of a layer's gradients",
  "penalty": "term of the loss that reads latent weights",
  "norm": "normalization of a convolutional network",
  "projection": "what happens to latent weights after an update",
  "model": "network of `config.model`",
  "task": "loss and evaluation of `config.task`",
  "distance": "distance between student and teacher",
  "source": "data set of `config.data`",
  "augment": "change to images before the model sees them",
  "collector": "what is kept of the inputs of layers",
}
EXAMPLES = """\
  bnnjax list
  bnnjax list estimator
  bnnjax list reste
"""


def run(args: argparse.Namespace) -> int:
  """Prints what is registered."""
  from bnnjax.commands import listing

  print(listing.of(args.name, KINDS))
  return 0


COMMAND = Command(
  "List what configs can name, or say what one name means and takes.",
  EXAMPLES,
  run,
  arguments=(
    argument(
      "name",
      f"a kind ({', '.join(KINDS)}), or a name of any kind",
      metavar="KIND|NAME",
    ),
  ),
)
