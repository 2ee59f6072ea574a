"""Lets one process at a time write to a workdir, across machines."""

import contextlib
import datetime
import errno
import json
import os
import pathlib
import socket
import threading
import time
import uuid
import weakref

from etils import epath

from bnnjax.errors import UserError

try:
  import fcntl
except ImportError:  # Windows
  fcntl = None

RENEW = 30.0  # seconds between two renewals of a lease
STALE = 120.0  # seconds without renewal after which others may take it over
_UNSUPPORTED = {
  errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL
}  # fmt: skip
_open_locks = weakref.WeakSet()


class WorkdirInUseError(UserError):
  """Another process writes to the workdir, or has taken it over."""


class Writer:
  """The right to write to a folder, held until `close` or the process's end.

  Uses a system lock (`flock`) if the file system supports it; it is released
  however the process ends. Otherwise uses a lease: a file that is touched every
  `renew` seconds and that others may take over after `stale` seconds without a
  touch. Folders outside the file system, e.g. `gs://`, are not guarded.

  Args:
    folder: must exist.
    renew: seconds, of a lease.
    stale: seconds, of a lease.

  Example:
    >>> with Writer(workdir) as writer:
    ...   writer.check()  # before writing what must not be mixed with others
  """

  def __init__(
    self, folder: epath.PathLike, *, renew: float = RENEW, stale: float = STALE
  ):
    self._folder = os.fspath(folder)
    self._renew, self._stale = renew, stale
    self._held = None

  def acquire(self) -> "Writer":
    """Takes the right to write.

    Raises:
      WorkdirInUseError: another process has it; says which.
      ValueError: the folder cannot be written.
    """
    if "://" in self._folder or self._held is not None:
      return self
    try:
      try:
        self._held = _Flock(self._folder)
      except _NoFlock:
        self._held = _Lease(self._folder, self._renew, self._stale)
    except OSError as error:
      raise ValueError(
        f"The workdir {self._folder} cannot be locked ({error}). Choose another"
        " one with --workdir."
      ) from error
    return self

  def check(self) -> None:
    """Raises `WorkdirInUseError` if the right was lost.

    Only a lease can be lost, while this process or its disk stood still.
    """
    if self._held is not None:
      self._held.check()

  def close(self) -> None:
    """Gives up the right."""
    held, self._held = self._held, None
    if held is not None:
      held.close()

  __enter__ = acquire

  def __exit__(self, *_):
    self.close()


class _NoFlock(Exception):
  pass


class _Flock:
  """An exclusive `flock` of the file `.lock`, which is never removed."""

  def __init__(self, folder):
    if fcntl is None:
      raise _NoFlock
    path = os.path.join(folder, ".lock")
    # Child programs do not inherit the handle (PEP 446).
    self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
      fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
      os.ftruncate(self._handle, 0)
      # The lock holds without this note; other writes notice a full disk.
      with contextlib.suppress(OSError):
        os.write(self._handle, _who())
    except OSError as error:
      os.close(self._handle)
      if error.errno in (errno.EAGAIN, errno.EACCES):
        raise WorkdirInUseError(_in_use(folder, path)) from None
      raise _NoFlock if error.errno in _UNSUPPORTED else error from None
    _open_locks.add(self)

  def check(self):
    pass

  def close(self):
    _open_locks.discard(self)
    os.close(self._handle)

  def forget(self):
    os.close(self._handle)


class _Lease:
  """The file `.lease.N` with the highest N, modified recently.

  A process takes over by creating the next number, which the file system allows
  one process only. Numbers are not reused, so a process that looked long ago
  and creates a file now sees that there is a higher one.
  """

  def __init__(self, folder, renew, stale):
    self._folder, self._renew, self._stale = pathlib.Path(folder), renew, stale
    last = self._last()
    if last and self._age(last) < stale:
      raise WorkdirInUseError(_in_use(folder, self._path(last)))
    self._number = last + 1
    path = self._path(self._number)
    try:
      handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
      raise WorkdirInUseError(_in_use(folder, path)) from None
    with contextlib.suppress(OSError):
      os.write(handle, _who())
    os.close(handle)
    self._alive = time.monotonic()
    if self._last() != self._number:
      path.unlink(missing_ok=True)
      raise WorkdirInUseError(_in_use(folder, self._path(self._last())))
    for number in self._numbers():
      if number < self._number:
        self._path(number).unlink(missing_ok=True)
    self._end = threading.Event()
    self._thread = threading.Thread(
      target=self._keep, name="bnnjax-lease", daemon=True
    )
    self._thread.start()

  def check(self):
    late = time.monotonic() - self._alive > self._stale
    if late or self._last() != self._number:
      path = self._path(self._last())
      raise WorkdirInUseError(
        f"This process stood still, or could not reach {self._folder}, for more"
        f" than {self._stale:g} s. {_in_use(self._folder, path)}"
      )

  def close(self):
    self._end.set()
    self._thread.join()
    # The file stays, so its number is not reused, but counts as stale at once.
    with contextlib.suppress(FileNotFoundError):
      os.utime(self._path(self._number), (0, 0))

  def _keep(self):
    while not self._end.wait(self._renew):
      if time.monotonic() - self._alive > self._stale:
        return  # others may have begun; `check` says so
      with contextlib.suppress(OSError):  # of a network, for a while
        os.utime(self._path(self._number))
        self._alive = time.monotonic()

  def _path(self, number):
    return self._folder / f".lease.{number}"

  def _numbers(self):
    ends = (p.name.removeprefix(".lease.") for p in self._folder.iterdir())
    return [int(e) for e in ends if e.isdecimal()]

  def _last(self):
    return max(self._numbers(), default=0)

  def _age(self, number):
    """Seconds since the last touch, by the file system's own clock."""
    now = self._folder / f".lease.now-{uuid.uuid4().hex}"
    try:
      now.touch()
      made = self._path(number).stat().st_mtime
      return now.stat().st_mtime - made
    except FileNotFoundError:  # another process has just ended that lease
      return 0.0
    finally:
      now.unlink(missing_ok=True)


def _who() -> bytes:
  """A note on this process, for the error message of others."""
  since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
  who = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
  return (json.dumps(who) + "\n").encode()


def _in_use(folder, path) -> str:
  try:
    found = json.loads(pathlib.Path(path).read_text())
    who = "process {pid} on {host} since {since}".format(**found)
  except (OSError, ValueError, KeyError, TypeError):
    who = "another process"  # it has the lock and has not left its note yet
  return (
    f"The workdir {folder} is being written by {who}: wait until it has ended,"
    " or choose another --workdir."
  )


def _forget_locks():
  """Drops the locks in a fork, which would hold them beyond its parent."""
  for lock in list(_open_locks):
    lock.forget()
  _open_locks.clear()


if hasattr(os, "register_at_fork"):
  os.register_at_fork(after_in_child=_forget_locks)
