"""A connection between two workers."""

import json
import socket
from typing import Any

LONGEST_MESSAGE = 1 << 20


class Line:
    """A connection that carries one JSON object a line."""

    def __init__(self, connection: socket.socket):
        self._connection, self._reader = connection, connection.makefile("r", encoding="utf-8")

    def send(self, **message: Any) -> None:
        self._connection.sendall((json.dumps(message) + "\n").encode())

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next message.

        Raises:
            OSError: the connection is closed, or (TimeoutError) silent for so many seconds.
        """
        self._connection.settimeout(seconds)
        line = self._reader.readline(LONGEST_MESSAGE)
        if not line.endswith("\n"):
            raise ConnectionError("connection closed")
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ConnectionError("no worker speaks there")
        return message

    def hung_up(self) -> bool:
        """Whether the other end has closed the connection; it is expected to say nothing now."""
        patience = self._connection.gettimeout()
        self._connection.settimeout(0.0)
        try:
            return not self._connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self._connection.settimeout(patience)

    def close(self) -> None:
        self._reader.close()
        self._connection.close()
