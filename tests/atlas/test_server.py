"""Requests as anyone may send them: what is refused, and what the atlas's own page gets."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bssl_tf.deploy import TfliteBackbone
from bssl_tf.deploy.metadata import read_metadata
from tests.atlas.conftest import HOSTILE, PHOTOS
from tests.atlas.serving import serving


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return tmp_path_factory.mktemp("server") / "session"


@pytest.fixture(scope="module")
def server(digits, session):
    with serving(digits, session) as started:
        yield started.wait()


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/api/state", "/static/main.js", "//", "/%00/", "/TOKEN"])
def test_without_the_token_there_is_nothing(server, path):
    status, headers, content = server.ask("GET", path.replace("TOKEN", server.token))
    assert status == 403 and b"address" in content
    assert "script-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:PORT", ""])
def test_other_names_do_not_lead_here(server, host):
    headers = {"Host": host.replace("PORT", str(server.port))}
    assert server.ask("GET", f"/{server.token}/api/state", headers=headers)[0] == 421


@pytest.mark.parametrize("named, sent", [("LocalHost", "localhost"), ("localhost", "LOCALHOST")])
def test_capitals_in_the_name_of_the_host_make_no_difference(digits, tmp_path, named, sent):
    with serving(digits, tmp_path / "session", f"--host={named}") as server:
        host = f"{sent}:{server.port}"
        assert server.ask("GET", f"/{server.token}/api/state", headers={"Host": host})[0] == 200
        headers = {"Host": host, "Origin": f"http://{sent.lower()}:{server.port}"}
        assert server.ask("POST", f"/{server.token}/api/nothing", headers=headers)[0] == 404  # past the guard


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}],
)
def test_pages_of_others_change_nothing(server, headers):
    headers = {name: value.replace("OWN", server.origin) for name, value in headers.items()}
    body = json.dumps({"name": "cat", "window": "x"}).encode()
    assert server.ask("POST", f"/{server.token}/api/classes/add", body, headers)[0] == 403
    assert server.get("api/labels")["classes"] == []


@pytest.mark.parametrize(
    "path",
    [
        "picture/../../secret.png",
        "picture/%2e%2e%2f%2e%2e%2fsecret.png",
        "picture/-1",
        "picture/100000",
        "picture/outside.png",
        "static/../application.py",
        "static/..%2fapplication.py",
        "static/%2e%2e/application.py",
        "static//etc/passwd",
        "download/../session.sqlite",
        "download/..%2fsession.sqlite",
        "download/session.sqlite",
        "../../etc/passwd",
        "%2fetc%2fpasswd",
    ],
)
def test_no_other_file_is_served(server, path):
    status, _, content = server.ask("GET", f"/{server.token}/{path}")
    assert status in (400, 403, 404) and len(content) < 200


def test_answers_forbid_what_the_page_does_not_need(server):
    _, headers, content = server.ask("GET", f"/{server.token}/")
    assert content.startswith(b"<!doctype html>")
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY" and "server" not in headers
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path, body",
    [
        ("label", b"no json"),
        ("label", b"[]"),
        ("label", b'{"photos": "all"}'),
        ("classes/add", b'{"name": 7, "window": "x"}'),
        ("classes/remove", b'{"class": true, "window": "x"}'),
        ("export/tree", b'{"form": "hard links"}'),
        ("finetune", b'{"steps": 0, "layers": "whole"}'),
    ],
)
def test_malformed_requests_get_a_sentence(server, path, body):
    status, _, content = server.ask("POST", f"/{server.token}/api/{path}", body, {"Origin": server.origin})
    assert status == 400 and json.loads(content)["error"].endswith(".")


def test_photos_that_are_none_are_refused(server):
    map_id = server.get("api/map")["map"]
    label = dict(source="picked", seen=0, map=map_id)
    assert server.post("api/label", photos=[PHOTOS + 5], **{**label, "class": None})[0] == 400
    assert server.post("api/label", photos=[-1], **label)[0] == 400
    assert server.post("api/label", photos=[True], **label)[0] == 400
    assert server.post("api/label", photos=[0], **{**label, "map": "of yesterday"})[0] == 409


def test_bodies_have_a_limit(server):
    path = f"/{server.token}/api/classes/add"
    assert server.ask("POST", path, b"x" * (9 * 2**20), {"Origin": server.origin})[0] == 413


def test_broken_files_are_named_and_hostile_names_are_data(server):
    skipped = dict(server.get("api/skipped"))
    assert skipped["outside.png"].endswith("outside of the folder") and "broken.png" in skipped
    assert HOSTILE in server.get("api/names?photos=" + ",".join(map(str, range(PHOTOS + 1))))


def test_a_dropped_file_finds_itself_and_a_broken_one_gets_a_sentence(server, digits):
    path = f"/{server.token}/api/search?count=3"
    content = (digits.folder / "00007.png").read_bytes()
    status, _, answer = server.ask("POST", path, content, {"Origin": server.origin})
    names = server.get("api/names?photos=" + ",".join(str(photo) for photo, _ in json.loads(answer)))
    assert status == 200 and {HOSTILE, "00007.png"} <= set(names)
    status, _, answer = server.ask("POST", path, b"no picture", {"Origin": server.origin})
    assert status == 400 and json.loads(answer)["error"].startswith("The dropped file")


def test_the_server_listens_on_loopback_only(server):
    own = [address[4][0] for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    for address in {address for address in own if not address.startswith("127.")}:
        with pytest.raises(OSError):
            socket.create_connection((address, server.port), timeout=2).close()


def test_a_second_server_on_the_session_is_told_who_has_it(server, digits, session):
    command = [sys.executable, "-m", "bssl_tf.cli.atlas", f"--model={digits.model}", f"--photos={digits.folder}"]
    done = subprocess.run([*command, f"--session={session}", "--nobrowser"], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stdout
    assert f"error: --session={session} is in use since 20" in done.stderr
    assert f"by process {server.process.pid} on" in done.stderr and "name another --session" in done.stderr


def test_labels_become_a_fine_tuned_classifier(server, digits, session):
    """Two classes, then the existing protocol in the background: once cancelled, once to its end."""
    photos = server.get("api/names?photos=" + ",".join(map(str, range(PHOTOS + 1))))
    map_id = server.get("api/map")["map"]
    ids = {name: server.post("api/classes/add", name=name)[1]["id"] for name in ("zero", "one")}
    for name, digit in (("zero", "0"), ("one", "1")):
        chosen = [photo for photo, path in enumerate(photos) if digits.truth[path] == digit][:9]
        seen = server.get("api/state")["revision"]
        label = {"photos": chosen, "class": ids[name], "source": "region", "seen": seen, "map": map_id}
        assert server.post("api/label", **label)[0] == 200
    assert server.post("api/finetune", steps=5000, layers="whole")[0] == 200
    assert server.post("api/finetune", steps=5, layers="whole")[0] == 400  # one at a time
    assert server.post("api/finetune/cancel")[1]["phase"] == "cancelled"
    assert server.post("api/finetune", steps=6, layers="whole")[0] == 200
    deadline = time.monotonic() + 180
    while (job := server.get("api/state")["job"])["phase"] == "running" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert job["phase"] == "done", job
    assert job["result"]["count"] == 4 and job["result"]["labels"] == 14
    content = Path(job["result"]["file"]).read_bytes()
    assert read_metadata(content).labels == {"logits": ("one", "zero")}
    assert TfliteBackbone(content).outputs(np.zeros((1, 8, 8, 1), np.uint8), ("logits",))[0].shape == (1, 2)
    for _ in ids:
        server.post("api/undo")
