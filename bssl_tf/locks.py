"""One process at a time: a lock on what a command writes, which ends with the process however that ends.

    with alone(lock_in(workdir), f"--workdir={workdir}", "name another --workdir"):
        ...

The lock is the system's own (`filelock`, flock), on shared disks too as far as they have locks. Who holds it stands in
a file beside it, for the message to the next one.
"""

import contextlib
import errno
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from bssl_tf.errors import UserError
from bssl_tf.files import write_json


class InUse(UserError):
    """Another process is at work there; the message says which, where and since when."""


def lock_in(folder: Path) -> Path:
    """The lock of a folder, within it."""
    return Path(folder) / ".lock"


def lock_beside(path: Path) -> Path:
    """The lock of a file, or of a folder that is made anew, beside it."""
    path = Path(path)
    return path.parent / f".{path.name}.lock"


@contextlib.contextmanager
def alone(lock_file: Path, what: str, remedy: str) -> Iterator[None]:
    """Hold a lock, or refuse to begin.

    Args:
        lock_file: of `lock_in` or `lock_beside`; its folder is made if need be.
        what: flag and value of what is locked, for the message.
        remedy: what can be done besides waiting, for the message.

    Raises:
        InUse: another process holds it.
        OSError: the file cannot be written.
    """
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(lock_file, timeout=0, fallback_to_soft=False)
    holder = lock_file.with_name(f"{lock_file.name}.json")
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InUse(f"{what} is in use {_who(holder)}. Wait until that ends, or {remedy}.") from None
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP):
            raise
        raise UserError(f"{what} lies on a disk without file locks: {remedy}, on another disk.") from None
    try:
        write_json(holder, _this_process())
        yield
    finally:
        for path in (holder, lock_file):  # while it is held; filelock does not take a file that is gone for the lock
            path.unlink(missing_ok=True)
        lock.release()


def _this_process() -> dict[str, object]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "command": shlex.join(sys.orig_argv),
    }


def _who(holder: Path) -> str:
    try:
        process = json.loads(holder.read_text(encoding="utf-8"))
        return (
            f"since {process['since']} by process {process['pid']} on {process['host']}, which runs: "
            f"{process['command']}"
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "by another process, which has left no word on itself"
