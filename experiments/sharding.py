r"""Does the training step of a 2.7B Bi-Mamba fit eight devices?

  python experiments/sharding.py --json experiments/results/sharding.jsonl

Compiles the whole step (forward, backward, AdamW; bfloat16, one layer's input
kept for the backward pass) for eight devices that the host simulates, and
allocates nothing. Prints the mesh axes of every parameter and the memory that
XLA plans on each device.
"""

import argparse
import json
import os
import time

DEVICES = 8
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={DEVICES}"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402 (after the flags above)
import numpy as np  # noqa: E402
from flax import nnx  # noqa: E402

from bnnjax import config as config_lib  # noqa: E402
from bnnjax.report import provenance  # noqa: E402
from bnnjax.train import optim, sharding, step  # noqa: E402
from bnnjax.train.plan import Plan  # noqa: E402

GIB = 2**30


def config_of(args: argparse.Namespace):
  """The recipe of Bi-Mamba (2411.11843), on windows of any text."""
  config = config_lib.base()
  config.data.update(
    name="plays",
    shape=(args.tokens,),
    vocab=32_000,
    batch_size=args.batch,
    eval_batch_size=args.batch,
  )
  config.model = {
    "name": "mamba",
    "variant": args.variant,
    "dtype": "bfloat16",
    "remat": "block",
  }
  config.task = {"name": "language_modeling"}
  config.optim.update(
    name="adamw",
    lr=2.5e-4,
    options={"b1": 0.9, "b2": 0.95},
    weight_decay=0.1,
    grad_clip=1.0,
  )
  config.mesh.update(fsdp=args.fsdp, tensor=args.tensor)
  return config


def compiled(config):
  """The compiled step, the network, and the seconds of compilation."""
  plan = Plan(config)
  network, task = plan.networks[0], plan.task
  optimizer = optim.make_optimizer(config.optim.to_dict(), 100, network.kinds)
  batch, whole = sharding.batch_shardings(config.mesh, config.data)
  state = sharding.abstract_state(network, optimizer, whole.mesh)
  shape = (config.data.batch_size, *config.data.shape)
  metrics = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=whole),
    jax.eval_shape(task.train_metrics.empty),
  )
  arrays = {
    key: jax.ShapeDtypeStruct(shape, dtype, sharding=batch)
    for key, dtype in (
      ("tokens", np.int32), ("chars", np.int32), ("scored", bool)
    )
  }  # fmt: skip
  began = time.monotonic()
  train_step = step.make_train_step(
    network,
    optimizer,
    task,
    steps=100,
    epochs=1.0,
    shardings=sharding.shardings_of(state),
  )
  done = train_step.lower(state, metrics, arrays, None).compile()
  return done, network, time.monotonic() - began


def show(network, mesh) -> int:
  """Prints a line for each parameter; returns their number of elements."""
  count = 0
  params = nnx.to_flat_state(nnx.state(network.abstract, nnx.Param))
  for path, variable in params:
    axes = sharding.spec(sharding.names(path, variable), variable.shape, mesh)
    count += variable.size
    name = ".".join(map(str, path))
    print(f"{name:56} {variable.shape!s:20} {tuple(axes)}")
  return count


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--variant", default="2.7B")
  parser.add_argument("--tokens", type=int, default=2048)
  parser.add_argument("--batch", type=int, default=8)
  parser.add_argument("--fsdp", type=int, default=4)
  parser.add_argument("--tensor", type=int, default=2)
  parser.add_argument("--json", help="append the result to this file")
  args = parser.parse_args()
  config = config_of(args)
  done, network, seconds = compiled(config)
  count = show(network, sharding.make_mesh(args.fsdp, args.tensor))
  memory = done.memory_analysis()
  found = {
    "arguments": memory.argument_size_in_bytes,
    "temporaries": memory.temp_size_in_bytes,
    "results that reuse arguments": memory.alias_size_in_bytes,
    "other results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
  }
  print(f"\n{count:,} parameters on {DEVICES} devices, {config.mesh.to_dict()}")
  for name, size in found.items():
    print(f"{name:30} {size / GIB:7.3f} GiB a device")
  print(f"{'compiled in':30} {seconds:7.1f} s")
  if args.json:
    line = {
      "benchmark": "sharding",
      "parameters": count,
      **vars(args),
      "bytes_per_device": found,
      "seconds": seconds,
      "commit": provenance.git_commit(),
      "versions": provenance.versions(),
    }
    line.pop("json")
    with open(args.json, "a") as file:
      file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
  main()
