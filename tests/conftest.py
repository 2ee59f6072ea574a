"""Settings of every test: CPU, one compilation cache, all names registered."""

import os
import pathlib
import runpy

# The suite's time is compilation, which takes less than half as long like this:
# ReActNet in smoke mode 16 s of CPU for 37. Before jax reads it, and for the
# programs that tests start; 0 in the environment tests what users run.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

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
