"""Where the atlas listens, what it prints, and by which names and addresses it may be called."""

import http.client
import socket
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pytest
import uvicorn

from bssl_tf.atlas.web import server as serving_module
from bssl_tf.atlas.web.guard import Hosts
from bssl_tf.atlas.web.server import Address, serve
from bssl_tf.errors import ConfigError, UserError
from tests.atlas.conftest import Digits
from tests.atlas.serving import serving


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def started(tmp_path):
    """Start the command on a folder without photos: the page answers all the same."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "model.tflite").touch()
    digits = Digits(tmp_path / "photos", {}, tmp_path, tmp_path / "model.tflite")
    return lambda *flags: serving(digits, tmp_path / "session", *flags)


def no_atlas(progress):
    raise UserError("there is none")


@pytest.fixture
def address_of(monkeypatch):
    """The address that is printed for a host."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: [each.close() for each in sockets])

    def printed(host):
        shown = []
        serve(no_atlas, "photos", Address(host), False, shown.append)
        return urlsplit(shown[0])

    return printed


def status_of(url, host=None):
    """Of a request to the printed address."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    with closing(connection):
        connection.request("GET", parts.path, headers={"Host": host or parts.netloc})
        return connection.getresponse().status


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("::", marks=needs_ipv6)])
def test_on_all_addresses_any_address_leads_here_and_no_other_name(started, host):
    with started(f"--host={host}") as server:
        assert urlsplit(server.url).hostname not in ("0.0.0.0", "::")
        assert status_of(server.url) == 200
        for name in ("203.0.113.9", "[2001:db8::9]", "127.0.0.1", "localhost", socket.gethostname()):
            assert status_of(server.url, f"{name}:{server.port}") == 200, name
        for name in (f"evil.example:{server.port}", "203.0.113.9:1", "203.0.113.9", f"1.2.3.4.example:{server.port}"):
            assert status_of(server.url, name) == 421, name
        own, path = f"203.0.113.9:{server.port}", f"/{server.token}/api/nothing"
        headers = {"Host": own, "Origin": f"http://{own}"}
        assert server.ask("POST", path, headers=headers)[0] == 404  # past the guard
        assert server.ask("POST", path, headers={**headers, "Origin": f"http://203.0.113.10:{server.port}"})[0] == 403


@needs_ipv6
def test_ipv6_alone(started):
    with started("--host=::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert status_of(server.url) == status_of(server.url, f"[0:0::1]:{server.port}") == 200
        assert status_of(server.url, f"[2001:db8::9]:{server.port}") == 421


@pytest.mark.parametrize(
    "host, accepted",
    [
        ("127.0.0.1:80", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("[::0:1]:80", True),
        ("ATLAS", True),
        ("::1", False),
        ("[127.0.0.1]", False),
        ("127.0.0.2", False),
        ("127.1", False),
        ("2130706433", False),
        ("127.0.0.1:", False),
        ("127.0.0.1:080:80", False),
        ("user@127.0.0.1", False),
        ("", False),
    ],
)
def test_the_usual_port_may_be_left_out(host, accepted):
    assert (host in Hosts(frozenset({"127.0.0.1", "::1", "atlas"}), 80)) == accepted


def test_without_a_network_the_name_of_the_machine_is_printed(address_of, monkeypatch):
    assert address_of("127.0.0.1").hostname == "127.0.0.1"
    monkeypatch.setattr(serving_module, "_ELSEWHERE", ((socket.AF_INET, "256.0.0.1"),))
    assert address_of("0.0.0.0").hostname == socket.gethostname().lower()


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid", "a..b", "[::1]"])
def test_a_host_that_is_none_of_this_machine(address_of, host):
    with pytest.raises(ConfigError) as raised:
        address_of(host)
    assert str(raised.value).startswith(f"--host={host} --port=0: ")
    assert str(raised.value).endswith("Name an address of this machine with --host, or leave it out.")


def test_a_port_that_is_taken(address_of):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port={port}: Address already in use. Name another --port"):
            serve(no_atlas, "photos", Address(port=port), False, print)


@pytest.mark.parametrize("host, expected", [("127.0.0.9", True), ("::1", True), ("LocalHost", True), ("::", False)])
def test_addresses_of_this_machine_alone(host, expected):
    assert Address(host).is_loopback == expected


def test_an_empty_host_is_refused_before_any_work(tmp_path):
    command = [sys.executable, "-m", "bssl_tf.cli.atlas", "--model=no", f"--photos={tmp_path}", "--host="]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == "error: --host= is empty: name an address of this machine, or leave it out.\n"
