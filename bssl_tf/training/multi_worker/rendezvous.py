"""Brings the workers of a run together, and notifies those that are left when one of them is gone.

Before TensorFlow starts, every worker opens a connection to the chief, on the chief's own port, and the chief sees
that all have come, with the same settings and the same workdir. The connections stay open while the run lasts. The
death of a process closes its connection at once; of one that hangs, or of a machine that cannot be reached, nothing
is heard for half a minute. Nobody has to wait for a collective operation to time out.

Who connects and does not give the run's token, which follows from the settings, is no worker, and is ignored. That
keeps strays out, not attackers: TensorFlow's own connections need no password, so the network has to be a trusted one.
"""

import contextlib
import hashlib
import queue
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bssl_tf.config.saved import settings_that_differ
from bssl_tf.errors import ConfigError, UserError
from bssl_tf.files import SECONDS_UNTIL_FILES_SHOW, appears
from bssl_tf.training.multi_worker.cluster import Cluster
from bssl_tf.training.multi_worker.line import Line

SECONDS_FOR_A_GREETING = 10.0
_SECONDS_OF_LISTENING = 0.2
SECONDS_BETWEEN_BEATS, SECONDS_OF_SILENCE = 5.0, 30.0


class Team:
    """The workers of a run, connected: the chief with all others, they with the chief."""

    def __init__(self, cluster: Cluster, lines: Mapping[int, Line]):
        self._cluster, self._lines = cluster, dict(lines)
        self._leaving = threading.Lock()  # taken by whoever ends the team, and never given back

    def watch(self, lost: Callable[[str], None]) -> None:
        """From now on call `lost`, once and in another thread, when a worker is gone or stopped with an error.

        Args:
            lost: gets what happened, as "worker 1 (host:port) …".
        """
        threading.Thread(target=self._beat, daemon=True).start()
        for index, line in self._lines.items():
            threading.Thread(target=self._listen, args=(index, line, lost), daemon=True).start()

    def leave(self, reason: str = "") -> None:
        """Tell the others that this worker has ended as planned, or else why it stops."""
        if self._leaving.acquire(blocking=False):
            me = self._cluster.name(self._cluster.index)
            _send_all(self._lines.values(), {"stopped": f"{me} stopped: {reason}"} if reason else {})

    def _beat(self) -> None:
        while not self._leaving.locked():
            _send_all(self._lines.values(), {"alive": True})
            time.sleep(SECONDS_BETWEEN_BEATS)

    def _listen(self, index: int, line: Line, lost: Callable[[str], None]) -> None:
        who = self._cluster.name(index)
        try:
            while "alive" in (message := line.receive(SECONDS_OF_SILENCE)):
                pass
        except TimeoutError:
            message = {"stopped": f"{who} has been silent for {SECONDS_OF_SILENCE:.0f} s: it hangs or is out of reach"}
        except (OSError, ValueError):
            message = {"stopped": f"{who} is gone: its process or its machine has died"}
        if "stopped" in message and self._leaving.acquire(blocking=False):
            _send_all(self._lines.values(), message)
            lost(message["stopped"])


def assemble(
    cluster: Cluster, settings: Mapping[str, Any], workdir: Path, seconds: float, log: Callable[[str], None]
) -> Team:
    """Wait for all workers.

    Args:
        cluster: who takes part.
        settings: name → value of what has to be the same everywhere.
        workdir: exists; has to be the same folder everywhere.
        seconds: to wait for the others.
        log: prints one line about which workers this one waits for.

    Raises:
        UserError: someone has not come in time, or this worker's port is taken.
        ConfigError: someone has other settings, another workdir, or another worker's index.
    """
    server = _open_port(cluster)
    if cluster.chief:
        with server:
            return _as_chief(cluster, server, dict(settings), workdir, time.monotonic() + seconds, log)
    server.close()  # it was free, and TensorFlow will open it
    return _as_member(cluster, dict(settings), workdir, seconds, log)


def _as_chief(
    cluster: Cluster,
    server: socket.socket,
    settings: Mapping[str, Any],
    workdir: Path,
    deadline: float,
    log: Callable[[str], None],
) -> Team:
    lines: dict[int, Line] = {}
    others = [index for index in range(len(cluster.addresses)) if index != cluster.index]

    def refuse(error: type[UserError], message: str) -> UserError:
        _send_all(lines.values(), {"refused": message})
        return error(message)

    if others:
        log(f"waiting for {', '.join(map(cluster.name, others))}")
    with _greetings(server, run_token(cluster)) as greetings:
        while missing := [index for index in others if index not in lines or lines[index].hung_up()]:
            try:
                line, greeting = greetings.get(timeout=max(deadline - time.monotonic(), 0.01))
                index = greeting["index"]
            except queue.Empty:
                raise refuse(
                    UserError,
                    f"{', '.join(map(cluster.name, missing))} did not come in time (--worker_timeout). Start the same "
                    f"command there with its own --worker_index, and see that it can reach {cluster.addresses[0]}.",
                ) from None
            if line.hung_up():  # it has died since; it may have been started again, and that greeting come first
                line.close()
                continue
            came_before, lines[index] = lines.get(index), line
            if (came_before and not came_before.hung_up()) or index not in others:
                raise refuse(ConfigError, f"--worker_index={index} was given to more than one worker.")
            if came_before:  # it has died and was started again
                came_before.close()
            if different := settings_that_differ(settings, greeting["settings"]):
                rows = "\n".join(f"  --{name}: {there!r}, here {here!r}" for name, (here, there) in different.items())
                raise refuse(
                    ConfigError,
                    f"{cluster.name(index)} has other settings than {cluster.name(0)}:\n{rows}\n"
                    "Give all workers the same command, but for --worker_index.",
                )
    with tempfile.NamedTemporaryFile(dir=workdir, prefix=".team_") as token:
        for line in lines.values():
            line.send(token=Path(token.name).name)
        for index, line in lines.items():
            try:
                answer = line.receive(SECONDS_UNTIL_FILES_SHOW + SECONDS_FOR_A_GREETING)
            except OSError as error:
                raise refuse(UserError, f"{cluster.name(index)} is gone before the start ({error}).") from None
            if "stopped" in answer:
                raise refuse(ConfigError, answer["stopped"])
    _send_all(lines.values(), {"go": True})
    return Team(cluster, lines)


def run_token(cluster: Cluster) -> str:
    """What the workers of a run give to be let in; all know the chief's address, even with other settings than his."""
    return hashlib.sha256(f"bssl_tf workers 1 {cluster.addresses[0]}".encode()).hexdigest()


@contextlib.contextmanager
def _greetings(server: socket.socket, token: str) -> "Iterator[queue.Queue[tuple[Line, dict[str, Any]]]]":
    """Gets the connection and the greeting of everyone who gives the token, each as soon as it comes."""
    found: queue.Queue[tuple[Line, dict[str, Any]]] = queue.Queue()
    done = threading.Event()

    def greet(connection: socket.socket) -> None:
        line = Line(connection)
        try:
            greeting = line.receive(SECONDS_FOR_A_GREETING)
        except (OSError, ValueError):  # silent, closed, or no text
            greeting = {}
        is_worker = greeting.get("token") == token and isinstance(greeting.get("index"), int)
        if is_worker and isinstance(greeting.get("settings"), dict):
            found.put((line, greeting))
        else:
            line.close()

    def accept() -> None:
        while not done.is_set():
            try:
                connection, _ = server.accept()
            except OSError:  # nobody came
                continue
            threading.Thread(target=greet, args=(connection,), daemon=True).start()

    server.settimeout(_SECONDS_OF_LISTENING)
    listener = threading.Thread(target=accept, daemon=True)
    listener.start()
    try:
        yield found
    finally:
        done.set()
        listener.join()


def _as_member(
    cluster: Cluster, settings: Mapping[str, Any], workdir: Path, seconds: float, log: Callable[[str], None]
) -> Team:
    chief, deadline = cluster.name(0), time.monotonic() + seconds
    log(f"{cluster.name(cluster.index)} joins {chief}, which shows and writes all")
    line = _call(cluster, deadline)

    def answer_within(seconds: float, needed: bool = True) -> dict[str, Any]:
        try:
            answer = line.receive(seconds)
        except OSError as error:
            if isinstance(error, TimeoutError) and not needed:
                return {}
            raise UserError(f"{chief} has not answered ({error}): look at what it says.") from None
        if "refused" in answer:
            raise ConfigError(answer["refused"])
        return answer

    line.send(token=run_token(cluster), index=cluster.index, settings=settings)
    answer = answer_within(max(deadline - time.monotonic(), 0.0) + SECONDS_FOR_A_GREETING)
    if not appears(workdir / str(answer.get("token")), SECONDS_UNTIL_FILES_SHOW):
        answer_within(0.1, needed=False)  # the chief may have given up for another reason, and taken the file away
        message = (
            f"--workdir={workdir} on {cluster.name(cluster.index)} is not the folder of {chief}: all workers need the "
            "same one, on a disk that they share."
        )
        line.send(stopped=message)
        raise ConfigError(message)
    line.send(ready=True)
    answer_within(SECONDS_UNTIL_FILES_SHOW + SECONDS_FOR_A_GREETING)
    return Team(cluster, {0: line})


def _send_all(lines: Iterable[Line], message: Mapping[str, Any]) -> None:
    for line in lines:
        with contextlib.suppress(OSError):  # it is gone already
            line.send(**message)


def _call(cluster: Cluster, deadline: float) -> Line:
    host, port = _split(cluster.addresses[0])
    while True:
        try:
            return Line(socket.create_connection((host, port), timeout=SECONDS_FOR_A_GREETING))
        except OSError as error:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{cluster.name(0)} cannot be reached ({error}), --worker_timeout is over. Start the same command "
                    "there with --worker_index=0; if it runs, mend its address in --workers, or a firewall between."
                ) from None
        time.sleep(0.3)


def _open_port(cluster: Cluster) -> socket.socket:
    _, port = _split(cluster.addresses[cluster.index])
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", port), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(
            f"port {port} of {cluster.name(cluster.index)} cannot be opened on this machine ({error.strerror}): is a "
            "worker still running? Else choose another port in --workers."
        ) from None


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
