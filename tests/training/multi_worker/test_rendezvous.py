"""Workers find each other, or say who is missing; and notice when one is gone. Threads here, no TensorFlow."""

import contextlib
import queue
import socket
import threading
import time

import pytest

from bssl_tf.errors import ConfigError, UserError
from bssl_tf.training.multi_worker import rendezvous as team
from bssl_tf.training.multi_worker.cluster import Cluster
from bssl_tf.training.multi_worker.line import LONGEST_MESSAGE
from bssl_tf.training.multi_worker.rendezvous import assemble
from tests.training.multi_worker.workers import free_addresses

SAME = {"epochs": 3}


def start(addresses, folders, settings=None, seconds=20.0):
    """Assemble all workers whose folder is given; index → team or error."""
    ended = {}

    def run(index, folder):
        try:
            given = (settings or {}).get(index, SAME)
            ended[index] = assemble(Cluster(addresses, index), given, folder, seconds, lambda line: None)
        except UserError as error:
            ended[index] = error

    threads = [threading.Thread(target=run, args=pair) for pair in folders.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return ended


@pytest.fixture
def three(tmp_path):
    addresses = free_addresses(3)
    teams = start(addresses, dict.fromkeys(range(3), tmp_path))
    heard = {index: queue.Queue() for index in teams}
    for index, member in teams.items():
        member.watch(heard[index].put)
    return addresses, teams, heard


def hang_up(member):
    """As the system does for a process that has died, which tells nobody anything more."""
    member._leaving.acquire(blocking=False)
    for line in member._lines.values():
        with contextlib.suppress(OSError):  # the other end has hung up before
            line._connection.shutdown(socket.SHUT_RDWR)


def test_a_worker_that_dies_is_named_to_all_others(three):
    addresses, teams, heard = three
    hang_up(teams[2])
    for index in (0, 1):
        assert heard[index].get(timeout=5).startswith(f"worker 2 ({addresses[2]}) is gone")


def test_a_chief_that_dies_is_named_to_all_others(three):
    addresses, teams, heard = three
    hang_up(teams[0])
    for index in (1, 2):
        assert heard[index].get(timeout=5).startswith(f"worker 0 ({addresses[0]}) is gone")


def test_a_worker_that_fails_tells_why(three):
    _, teams, heard = three
    teams[1].leave("the disk is full")
    for index in (0, 2):
        message = heard[index].get(timeout=5)
        assert message.startswith("worker 1 (") and message.endswith("stopped: the disk is full")


def test_workers_that_end_as_planned_disturb_nobody(three):
    _, teams, heard = three
    for index in (1, 2, 0):
        teams[index].leave()
        hang_up(teams[index])
    with pytest.raises(queue.Empty):
        heard[0].get(timeout=0.5)
    assert heard[1].empty() and heard[2].empty()


def test_a_worker_that_hangs_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(team, "SECONDS_OF_SILENCE", 0.3)
    teams = start(free_addresses(2), dict.fromkeys(range(2), tmp_path))
    heard = queue.Queue()
    teams[0].watch(heard.put)  # the other one never says that it is alive
    assert "worker 1" in (message := heard.get(timeout=5)) and "silent" in message


def test_who_does_not_come_is_named_on_both_sides(tmp_path):
    addresses = free_addresses(3)
    ended = start(addresses, {0: tmp_path, 1: tmp_path}, seconds=3.0)
    for index in (0, 1):
        assert f"worker 2 ({addresses[2]}) did not come in time" in str(ended[index])
    (alone,) = start(addresses, {1: tmp_path}, seconds=0.5).values()
    assert f"worker 0 ({addresses[0]}) cannot be reached" in str(alone) and "--worker_index=0" in str(alone)


def call_as_worker_1(cluster):
    line = team._call(cluster, time.monotonic() + 10)
    line.send(token=team.run_token(cluster), index=1, settings=SAME)
    return line


def test_a_worker_that_died_may_come_again_before_all_are_there(tmp_path):
    addresses, ended = free_addresses(3), {}
    chief = threading.Thread(target=lambda: ended.update(start(addresses, {0: tmp_path})))
    chief.start()
    call_as_worker_1(Cluster(addresses, 1)).close()
    ended.update(start(addresses, {1: tmp_path, 2: tmp_path}))
    chief.join(30)
    assert all(isinstance(ended[index], team.Team) for index in range(3)), ended


def test_a_worker_that_died_is_waited_for_even_if_all_others_are_there(tmp_path):
    addresses, ended = free_addresses(3), {}
    first = threading.Thread(target=lambda: ended.update(start(addresses, {0: tmp_path, 2: tmp_path})))
    first.start()
    call_as_worker_1(Cluster(addresses, 1)).close()
    time.sleep(0.5)  # by now the chief has heard of all three
    ended.update(start(addresses, {1: tmp_path}))
    first.join(30)
    assert all(isinstance(ended[index], team.Team) for index in range(3)), ended


def test_the_greeting_of_one_that_died_may_come_after_that_of_its_successor(tmp_path, monkeypatch):
    addresses, ended = free_addresses(3), {}
    receive = team.Line.receive

    def late_if_dead(line, seconds):
        message = receive(line, seconds)
        time.sleep(0.1)
        if message.get("index") == 1 and line.hung_up():
            time.sleep(0.5)
        return message

    monkeypatch.setattr(team.Line, "receive", late_if_dead)
    chief = threading.Thread(target=lambda: ended.update(start(addresses, {0: tmp_path})))
    chief.start()
    call_as_worker_1(Cluster(addresses, 1)).close()
    successor = threading.Thread(target=lambda: ended.update(start(addresses, {1: tmp_path})))
    successor.start()
    time.sleep(1.0)
    ended.update(start(addresses, {2: tmp_path}))
    for thread in (chief, successor):
        thread.join(30)
    assert all(isinstance(ended[index], team.Team) for index in range(3)), ended


def test_a_chief_that_gives_up_is_not_taken_for_another_workdir(tmp_path, monkeypatch):
    monkeypatch.setattr(team, "SECONDS_UNTIL_FILES_SHOW", 0.3)
    addresses, ended = free_addresses(2), {}
    with team._open_port(Cluster(addresses, 0)) as server:
        member = threading.Thread(target=lambda: ended.update(start(addresses, {1: tmp_path})))
        member.start()
        line = team.Line(server.accept()[0])
        line.receive(10)
        line.send(token="gone")
        line.send(refused="worker 2 is gone before the start.")
        member.join(30)
        line.close()
    assert str(ended[1]) == "worker 2 is gone before the start."


def test_an_index_given_twice_is_refused(tmp_path):
    addresses, ended = free_addresses(3), {}
    chief = threading.Thread(target=lambda: ended.update(start(addresses, {0: tmp_path})))
    chief.start()
    line = call_as_worker_1(Cluster(addresses, 1))
    ended.update(start(addresses, {1: tmp_path}))
    chief.join(30)
    line.close()
    for index in (0, 1):
        assert str(ended[index]) == "--worker_index=1 was given to more than one worker."


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_workers_find_each_other_by_ipv6(tmp_path):
    addresses = tuple(address.replace("127.0.0.1", "[::1]") for address in free_addresses(2))
    ended = start(addresses, dict.fromkeys(range(2), tmp_path))
    assert all(isinstance(ended[index], team.Team) for index in range(2)), ended


def test_other_settings_are_refused_on_both_sides(tmp_path):
    ended = start(free_addresses(2), dict.fromkeys(range(2), tmp_path), settings={1: {"epochs": 4}})
    for index in (0, 1):
        assert isinstance(ended[index], ConfigError) and "--epochs: 4, here 3" in str(ended[index])


def test_another_workdir_is_refused_on_both_sides(tmp_path, monkeypatch):
    monkeypatch.setattr(team, "SECONDS_UNTIL_FILES_SHOW", 0.3)
    folders = {index: tmp_path / str(index) for index in range(2)}
    for folder in folders.values():
        folder.mkdir()
    ended = start(free_addresses(2), folders)
    for index in (0, 1):
        assert isinstance(ended[index], ConfigError) and "a disk that they share" in str(ended[index])


def test_a_port_in_use_is_told(tmp_path):
    addresses = free_addresses(2)
    with team._open_port(Cluster(addresses, 1)):
        (error,) = start(addresses, {1: tmp_path}).values()
    assert f"worker 1 ({addresses[1]}) cannot be opened" in str(error)


STRANGERS = (
    b'{"index": 1}\n',
    b'{"index": 1, "settings": {"epochs": 3}}\n',
    b'{"index": 1, "settings": {"epochs": 3}, "token": "guessed"}\n',
    b"GET / HTTP/1.1\r\n\r\n",
    b"[" * 50_000 + b"\n",
    b"\xff\xfe\n",
    b"null\n",
    b"x" * (LONGEST_MESSAGE + 10),
    b"",
)


def test_strangers_at_the_chiefs_port_are_ignored(tmp_path):
    addresses = free_addresses(2)
    ended, held = {}, []
    chief = threading.Thread(target=lambda: ended.update(start(addresses, {0: tmp_path})))
    chief.start()
    host, port = addresses[0].rsplit(":", 1)
    for words in STRANGERS:
        for _ in range(100):
            with contextlib.suppress(ConnectionRefusedError):
                held.append(socket.create_connection((host, int(port))))
                break
            threading.Event().wait(0.05)
        with contextlib.suppress(ConnectionError):  # it may hang up before it has heard all
            held[-1].sendall(words)
    begin = time.monotonic()
    ended.update(start(addresses, {1: tmp_path}))
    chief.join(30)
    assert isinstance(ended[0], team.Team) and isinstance(ended[1], team.Team), ended
    assert time.monotonic() - begin < 5  # a silent stranger keeps nobody waiting
    with team._open_port(Cluster(addresses, 0)):
        pass  # TensorFlow will find the port free
    for connection in held:
        connection.close()


def test_another_service_at_the_chiefs_address_is_told(tmp_path):
    addresses = free_addresses(2)
    host, port = addresses[0].rsplit(":", 1)
    with socket.create_server((host, int(port))) as server:

        def serve():
            connection, _ = server.accept()
            connection.sendall(b"220 mail ready\n")

        threading.Thread(target=serve, daemon=True).start()
        (error,) = start(addresses, {1: tmp_path}, seconds=1.0).values()
    assert "no worker speaks there" in str(error)
