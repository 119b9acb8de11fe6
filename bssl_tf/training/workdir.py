"""The workdir in use: one training process at a time, and nothing in it that a killed one has left half written."""

import contextlib
import shutil
from collections.abc import Iterator

from bssl_tf.config.execution import RunSettings
from bssl_tf.files import check_folder_writable
from bssl_tf.locks import alone, lock_beside, lock_in
from bssl_tf.runs import Workdir


@contextlib.contextmanager
def alone_in_workdir(workdir: Workdir, run: RunSettings) -> Iterator[None]:
    """Make the workdir if need be, and keep other training processes out of it.

    A dry run starts afresh; elsewhere the leftovers of killed processes are deleted. Of several workers only the chief
    calls it. A preview of views changes nothing and goes along with anything.

    Args:
        workdir: the run's, that of the small one for a dry run.
        run: settings of the run.

    Raises:
        ConfigError: it cannot be written.
        InUse: another process trains in it.
    """
    check_folder_writable(workdir.path, "--workdir")  # better now than after the first phase
    if run.preview_views:
        yield
        return
    lock = lock_beside(workdir.path) if run.dry_run else lock_in(workdir.path)
    with alone(lock, f"--workdir={workdir.path}", "name another --workdir"):
        if run.dry_run:
            _empty(workdir)
        else:
            workdir.sweep()
        yield


def _empty(workdir: Workdir) -> None:
    for path in workdir.path.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
