"""The real command, `bssl-atlas`, in a process of its own."""

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.atlas.conftest import Digits

_COMMAND = "import sys; sys.argv[0] = 'bssl-atlas'; from bssl_tf.cli.atlas import run; run()"
_PATIENCE = 180


@dataclass(frozen=True)
class Server:
    """Attributes:
    url: as printed, with the token.
    process: of the server.
    """

    url: str
    process: subprocess.Popen

    @property
    def port(self) -> int:
        return urlsplit(self.url).port

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        return urlsplit(self.url).path.strip("/")

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None):
        """Status, headers and content of exactly this request; `path` is sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        sent = {"Host": f"127.0.0.1:{self.port}", "Content-Length": str(len(body))} | (headers or {})
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str) -> Any:
        status, _, content = self.ask("GET", f"/{self.token}/{path}")
        assert status == 200, (status, content)
        return json.loads(content)

    def post(self, path: str, **values: Any) -> tuple[int, Any]:
        body = json.dumps({"window": "test", **values}).encode()
        status, _, content = self.ask("POST", f"/{self.token}/{path}", body, {"Origin": self.origin})
        return status, json.loads(content)

    def wait(self) -> "Server":
        """Until the map is there."""
        deadline = time.monotonic() + _PATIENCE
        while not (state := self.get("api/state"))["ready"]:
            assert state["phase"] != "failed" and time.monotonic() < deadline, state
            time.sleep(0.1)
        return self


@contextlib.contextmanager
def serving(digits: Digits, session: Path, *flags: str) -> Iterator[Server]:
    """Start the atlas, and end it afterwards."""
    command = [sys.executable, "-c", _COMMAND, f"--model={digits.model}", f"--photos={digits.folder}"]
    command += [f"--session={session}", "--nobrowser", *flags]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with open(session.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        addresses = (re.search(r"http://\S+", line) for line in process.stdout)
        yield Server(next(found.group() for found in addresses if found), process)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
