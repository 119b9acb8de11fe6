"""Who takes part in a run on several machines: from --workers or TF_CONFIG. Needs no TensorFlow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bssl_tf.config.training import DistributionSettings
from bssl_tf.errors import ConfigError


@dataclass(frozen=True)
class Cluster:
    """All workers of a run, and which of them this process is.

    Attributes:
        addresses: host:port of every worker; the first is the chief, the only one that writes.
        index: place of this process in `addresses`.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def chief(self) -> bool:
        return self.index == 0

    def name(self, index: int) -> str:
        """A worker as messages call it."""
        return f"worker {index} ({self.addresses[index]})"


def cluster_from(settings: DistributionSettings, environment: Mapping[str, str]) -> Cluster | None:
    """The cluster that the settings or the environment variable TF_CONFIG describe; None on one machine.

    Raises:
        ConfigError: names the flag or the part of TF_CONFIG that is missing, wrong or contradicts the other.
    """
    given = _from_tf_config(environment.get("TF_CONFIG", ""))
    if settings.distribution != "multi_worker":
        if settings.workers or settings.worker_index >= 0:
            raise ConfigError(
                f"--workers and --worker_index are for --distribution=multi_worker, not {settings.distribution}: "
                "drop them, or change --distribution."
            )
        if given and len(given.addresses) > 1:
            raise ConfigError(
                f"TF_CONFIG names {len(given.addresses)} workers, but --distribution={settings.distribution} trains on "
                "this machine alone, as each of them would: give --distribution=multi_worker, or unset TF_CONFIG."
            )
        return None
    if not settings.workers and settings.worker_index < 0:
        if given:
            return given
        raise ConfigError(
            "--distribution=multi_worker needs to know the workers: give --workers=HOST:PORT,HOST:PORT (the same list "
            "everywhere) and --worker_index (0 on the first, 1 on the second, …), or set TF_CONFIG."
        )
    cluster = _from_flags(settings)
    if given and given != cluster:
        raise ConfigError(
            f"--workers and --worker_index (worker {cluster.index} of {', '.join(cluster.addresses)}) contradict "
            f"TF_CONFIG (worker {given.index} of {', '.join(given.addresses)}): drop one of them."
        )
    return cluster


def _from_flags(settings: DistributionSettings) -> Cluster:
    addresses = tuple(address.strip() for address in settings.workers.split(",")) if settings.workers else ()
    _check_addresses(addresses, f"--workers={settings.workers}")
    if not 0 <= settings.worker_index < len(addresses):
        raise ConfigError(
            f"--worker_index={settings.worker_index}: give 0 to {len(addresses) - 1}, this machine's place in "
            f"--workers={settings.workers}."
        )
    return Cluster(addresses, settings.worker_index)


def _from_tf_config(text: str) -> Cluster | None:
    """TF_CONFIG as TensorFlow defines it: jobs "worker" and, where there is one, "chief", which comes first."""
    if not text:
        return None
    try:
        content = json.loads(text)
        jobs, task = content.get("cluster", {}), content.get("task", {})
        if not jobs:
            return None
        strange = (set(jobs) | {task["type"]}) - {"chief", "worker"}
        chiefs, workers = tuple(jobs.get("chief", ())), tuple(jobs.get("worker", ()))
        index = int(task["index"]) + (len(chiefs) if task["type"] == "worker" else 0)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"TF_CONFIG={text} cannot be used ({type(error).__name__}: {error}). It looks like "
            '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}.'
        ) from None
    if strange:
        raise ConfigError(f"TF_CONFIG has jobs of type {', '.join(sorted(strange))}; there are only chief and worker.")
    _check_addresses(chiefs + workers, f"TF_CONFIG={text}")
    if not 0 <= index < len(chiefs + workers):
        raise ConfigError(f"TF_CONFIG={text}: there is no {task['type']} {task['index']} in its cluster.")
    return Cluster(chiefs + workers, index)


def _check_addresses(addresses: tuple[str, ...], what: str) -> None:
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ConfigError(f"{what}: {address!r} is not HOST:PORT, as in 10.0.0.5:4000.")
    if len(set(addresses)) < len(addresses) or not addresses:
        raise ConfigError(f"{what}: every worker needs an address of its own.")
