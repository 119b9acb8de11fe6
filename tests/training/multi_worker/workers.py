"""Processes for the tests: train.py as one worker or as two, on loopback."""

import contextlib
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def free_addresses(count):
    """host:port of so many ports that nobody uses."""
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
    return tuple(f"127.0.0.1:{port}" for port in ports)


class Workers:
    """One train.py, or several that make up a team.

    Args:
        flags: what all of them get.
        count: how many.
        folder: for their logs.
    """

    def __init__(self, flags, count, folder):
        addresses = ",".join(free_addresses(count))
        team = ["--distribution=multi_worker", f"--workers={addresses}"] if count > 1 else []
        self._logs = [Path(folder) / f"worker{index}.log" for index in range(count)]
        with contextlib.ExitStack() as logs:
            self.processes = [
                subprocess.Popen(
                    [sys.executable, "train.py", *flags, *team, *([f"--worker_index={index}"] if team else [])],
                    cwd=ROOT,
                    stdout=logs.enter_context(open(log, "w")),
                    stderr=subprocess.STDOUT,
                )
                for index, log in enumerate(self._logs)
            ]

    def wait(self, seconds=240):
        """Exit status of each, and what each has said."""
        deadline = time.monotonic() + seconds
        try:
            statuses = [process.wait(max(deadline - time.monotonic(), 0.1)) for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return statuses, [log.read_text() for log in self._logs]

    def wait_for_rows(self, table, count, seconds=240):
        """Until a table of metrics has so many rows."""
        deadline = time.monotonic() + seconds
        while not table.exists() or len(table.read_text().splitlines()) <= count:
            ended = any(process.poll() is not None for process in self.processes)
            if ended or time.monotonic() > deadline:
                statuses = [process.poll() for process in self.processes]
                for process in self.processes:
                    process.kill()
                said = "\n".join(log.read_text() for log in self._logs)
                raise AssertionError(f"{table} has not reached {count} rows; exit statuses {statuses}\n{said}")
            time.sleep(0.02)
