"""Settings of every test: CPU, one compilation cache, all names registered."""

import importlib.metadata
import os
import pathlib
import runpy

# The suite's time is compilation, which takes a quarter of the time like this.
# Before jax reads it, and for the programs that tests start; what the
# environment sets is kept.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if importlib.metadata.version("jaxlib").startswith("0.10."):
  # A jaxlib that does not know a flag ends the program.
  os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1",
  )

import jax
import pytest

import bnnjax.methods  # noqa: F401 (registers every method)

CACHE = pathlib.Path(__file__).parents[1] / ".jax_cache"

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_compilation_cache_dir", os.fspath(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


def pytest_addoption(parser):
  parser.addoption(
    "--load",
    action="append",
    default=[],
    help="run a Python file first: the suites then cover what it registers",
  )


def pytest_configure(config):
  for file in config.getoption("--load"):
    runpy.run_path(file)


@pytest.fixture
def rngs():
  """Fixed random numbers for layers."""
  from flax import nnx

  return nnx.Rngs(0)
