"""Runs the body of a training program on one machine or, in step, on several."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bssl_tf.config.execution import DistributionSettings
from bssl_tf.console import console, print_error
from bssl_tf.errors import Interrupted, UserError
from bssl_tf.native_logs import held_back_stderr
from bssl_tf.training.multi_worker.cluster import Cluster
from bssl_tf.training.multi_worker.rendezvous import assemble

if TYPE_CHECKING:
    from bssl_tf.training.multi_worker.strategy import Distribution

SECONDS_TO_LEARN_WHO = 30.0
REMEDY = "What was saved is whole: start the same command on all workers again, and they go on from there."


@contextlib.contextmanager
def together(
    settings: DistributionSettings, cluster: Cluster | None, workdir: Path, shared_settings: Mapping[str, Any]
) -> Iterator["Distribution"]:
    """Wait for the other workers, start TensorFlow's strategy, and end with the others however this one ends.

    TensorFlow is imported, but must not have computed anything. Workers other than the chief do not print.

    Args:
        settings: where to train.
        cluster: all workers; None on one machine.
        workdir: the run's.
        shared_settings: name → value of the settings that have to be the same on all workers.

    Raises:
        UserError: someone has not come, or has other settings; or a worker was lost and nobody knows which.
    """
    import tensorflow as tf

    from bssl_tf.training.multi_worker.strategy import on_machines, on_this_machine

    if cluster is None:
        yield on_this_machine(settings.distribution)
        return
    team = assemble(cluster, shared_settings, workdir, settings.worker_timeout, console.print)
    team.watch(_end_at_once)
    try:
        with held_back_stderr():
            distribution = on_machines(cluster)
        console.quiet = not cluster.chief
        yield distribution
    except tf.errors.UnavailableError as error:
        time.sleep(SECONDS_TO_LEARN_WHO)  # the team ends this process as soon as it knows who is gone
        team.leave("it cannot reach another worker")
        raise UserError(f"the workers have lost each other ({error.message.splitlines()[0]}). {REMEDY}") from None
    except Interrupted as interruption:
        team.leave("" if interruption.agreed else "it was interrupted")
        raise
    except BaseException as error:
        if isinstance(error, tf.errors.OpError):
            time.sleep(SECONDS_TO_LEARN_WHO)  # it may be a consequence of what ended another worker
        team.leave(str(error) or type(error).__name__)
        raise
    finally:
        console.quiet = False
    team.leave()


def _end_at_once(what: str) -> None:
    """The main thread may wait within TensorFlow for a worker that will never answer: it cannot end the process."""
    print_error(f"{what.rstrip('.')}. {REMEDY}")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
