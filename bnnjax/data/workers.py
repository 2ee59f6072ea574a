"""Processes that make batches and end with the process that reads them."""

import atexit
import multiprocessing
import os
import signal
import threading
import time
import typing
import weakref
from multiprocessing import shared_memory
from typing import Any

import numpy as np
from absl import flags

from bnnjax.data import batch

if typing.TYPE_CHECKING:
  import grain  # takes 0.7 s to import


def iterate(
  iterable: "grain.IterDataset", workers: int, ahead: int
) -> "grain.DatasetIterator":
  """Batches made by `workers` processes, each `ahead` batches in advance.

  Call `close()` of the iterator at the end.
  """
  import grain

  if not flags.FLAGS.is_parsed():
    # Outside absl.app.run, as in a notebook: grain's workers read its flags.
    flags.FLAGS.mark_as_parsed()
  options = grain.MultiprocessingOptions(
    num_workers=workers, per_worker_buffer_size=ahead
  )
  shared = iterable.mp_prefetch(options, worker_init_fn=_start)
  iterator = iter(shared.map(_copied))
  # For callers that do not close it, such as notebooks: before multiprocessing
  # reports leaked shared memory.
  atexit.register(_close, weakref.ref(iterator))
  return iterator


def _close(reference: weakref.ReferenceType) -> None:
  iterator = reference()
  if iterator is not None:
    iterator.close()


def _copied(made: batch.Batch) -> batch.Batch:
  """Copies a batch out of the memory shared with a worker.

  Otherwise a batch still in use at the end of the program would leak the
  memory.
  """
  return {key: np.array(value) for key, value in made.items()}


def _start(index: int, count: int) -> None:
  """Makes a worker live exactly as long as its parent process.

  A signal to the whole group, such as Ctrl-C in a terminal, is meant for the
  parent, which needs batches until it has stopped.
  """
  del index, count
  for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, _end_without_parent)
  threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
  multiprocessing.parent_process().join()  # also returns after a SIGKILL
  for _ in range(100):
    signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    time.sleep(0.05)
  os._exit(1)  # the main thread hangs


def _end_without_parent(number: int, frame: Any) -> None:
  del number
  if multiprocessing.parent_process().is_alive():
    return
  # multiprocessing's resource tracker removes the shared memory it knows. If a
  # block is being created right now, return: the next signal comes a little
  # later.
  making = shared_memory.SharedMemory.__init__.__code__
  while frame is not None:
    if frame.f_code is making:
      return
    frame = frame.f_back
  os._exit(1)
