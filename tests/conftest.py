"""Settings of every test: CPU, one compilation cache, all names registered."""

import ctypes
import gc
import importlib.metadata
import os
import pathlib
import runpy
import sys

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

PEAKS = pytest.StashKey[list]()  # of the workers' memory, GB
LARGE = 1.5  # GB
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
  config.stash[PEAKS] = []


def _resident() -> float:
  """Memory of this process now, GB; 0 if unknown."""
  statm = pathlib.Path("/proc/self/statm")
  if not statm.exists():
    return 0.0
  return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


def _peak() -> float:
  """Largest resident memory of this process so far, GB; NaN if unknown."""
  if sys.platform != "linux":
    return float("nan")
  import resource

  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def pytest_sessionfinish(session):
  if hasattr(session.config, "workeroutput"):
    session.config.workeroutput["peak"] = _peak()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
  del error
  node.config.stash[PEAKS].append(
    getattr(node, "workeroutput", {}).get("peak", float("nan"))
  )


def pytest_terminal_summary(terminalreporter, config):
  peaks = ", ".join(f"{p:.2f}" for p in config.stash[PEAKS] or [_peak()])
  terminalreporter.write_line(f"peak memory of each worker, GB: {peaks}")


@pytest.fixture(autouse=True, scope="module")
def _forget_module():
  """Drops what a module compiled, which is of little use to the next."""
  yield
  _forget()


def pytest_runtest_teardown():
  """And what a test compiled where a worker has grown large."""
  if _resident() > LARGE:
    _forget()


def _forget():
  """Drops compiled programs; the persistent cache holds what was expensive.

  What compilers and jax have freed goes back to the system only when asked for:
  without that a worker keeps some 4 GB.
  """
  jax.clear_caches()
  gc.collect()
  if sys.platform == "linux":
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # of glibc
      libc.malloc_trim(0)


@pytest.fixture
def rngs():
  """Fixed random numbers for layers."""
  from flax import nnx

  return nnx.Rngs(0)
