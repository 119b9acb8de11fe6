"""The driver for Android from end to end, against a test double of adb: no phone is measured here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bssl_tf import deploy, file_sets
from bssl_tf.deploy.benchmark import _twin, benchmark
from bssl_tf.deploy.subjects import subject_of
from bssl_tf.device.adb import AdbShell
from bssl_tf.device.machine import DeviceError
from bssl_tf.device.timing import time_on
from bssl_tf.device.tool import ToolMachine, check_tool
from bssl_tf.device.tool_output import ToolRun
from bssl_tf.errors import DiskFull, UserError
from tests.runs_on_disk import untrained_run

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
ARM64_PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00"


@pytest.fixture
def adb(tmp_path, monkeypatch):
    """Puts the double in adb's place; gives a function that says what it plays."""
    home = tmp_path / "double"
    home.mkdir()
    (home / "adb").write_text(f"#!{sys.executable}\n" + (HERE / "adb_test_double.py").read_text())
    (home / "adb").chmod(0o755)
    for name in ("plain.txt", "profiled.txt"):
        shutil.copy(HERE / name, home)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    monkeypatch.setenv("ADB_DOUBLE", str(home))

    def play(devices=None, **settings):
        devices = {"PHONE1": "device"} if devices is None else devices
        (home / "settings.json").write_text(json.dumps({"devices": devices, **settings}))
        return home

    play()
    return play


@pytest.fixture
def tool(tmp_path):
    (tmp_path / "lce_benchmark_model").write_bytes(ARM64_PROGRAM)
    return tmp_path / "lce_benchmark_model"


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    return tmp_path / "model.tflite"


def test_one_command_from_file_to_report(adb, tool, model):
    home = adb()
    (model.with_suffix(".md")).write_text("# model.tflite\n\nkept\n")
    command = [sys.executable, "convert.py", "--benchmark=android", f"--benchmark_tool={tool}", f"--output={model}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (home / "calls").read_text().splitlines()
    runs = [call for call in calls if "--graph=" in call]
    assert [("--num_threads=1" in run, "--enable_op_profiling=true" in run) for run in runs] == [
        (True, False),
        (False, False),
        (True, True),
    ]
    assert all(" --warmup_runs=5 --num_runs=50 " in run for run in runs) and "--num_threads=4" in runs[1]
    assert sorted(file.name for file in (home / "phone").iterdir()) == ["benchmark_tool", "model0.tflite"]
    text, facts = model.with_suffix(".md").read_text(), json.loads(model.with_suffix(".json").read_text())
    assert text.startswith("# model.tflite\n\nkept\n") and "| LceBconv2d | 2 | 40 | 75% |" in text
    assert "| QuickNet | 25.5 | 45 |" in text and "| model.tflite | 1 | 55 | 1.56 | 53.1 | 64.8 | 18.8 |" in text
    assert facts["device"]["machine"] == "Test Double, Android 13, arm64-v8a"
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0 and model.with_suffix(".md").read_text().count("Time on the device") == 1


def test_the_report_says_how_many_runs_there_were(adb, tool, model):
    adb()
    text = time_on(ToolMachine(AdbShell(), tool, "--num_runs=50"), {"it": model}, log=lambda text: None).markdown()
    assert "mean of at least 50 runs, 9 more to warm up." in text


def test_a_machine_without_profiles_is_not_asked_for_one(tmp_path):
    asked = []

    class Machine:
        description, profiles = "none", False

        def time(self, file, threads, *, profile):
            asked.append((threads, profile))
            return ToolRun(1, 1, 1, 1, 0, 1, 1, repeats=50, warm_up_runs=5)

    assert time_on(Machine(), {"it": tmp_path}, log=lambda text: None).profile is None
    assert asked == [(1, False), (4, False)]


def test_a_twin_only_for_the_file_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(deploy, "convert_backbone", lambda network: b"twin")
    weights = subject_of(untrained_run(tmp_path / "run")).fingerprint
    file = tmp_path / "model.tflite"
    twin = _twin(tmp_path / "run", file, {"extra": {"source": {"weights": weights}}})
    assert twin.read_bytes() == b"twin"
    for report in ({}, {"extra": None}, {"extra": {"source": {"weights": "others"}}}):
        assert _twin(tmp_path / "run", file, report) is None


def test_both_reports_get_the_times_or_neither(adb, tool, model, monkeypatch):
    adb()
    for suffix, text in ((".md", "# model.tflite\n"), (".json", '{"bytes": 8}')):
        model.with_suffix(suffix).write_text(text)
    write = file_sets.write_bytes

    def until_full(path, content):
        if path.suffix == ".md":
            raise DiskFull("the disk is full")
        write(path, content)

    monkeypatch.setattr(file_sets, "write_bytes", until_full)
    with pytest.raises(DiskFull):
        benchmark(model, "android", tool=str(tool))
    assert model.with_suffix(".md").read_text() == "# model.tflite\n"
    assert model.with_suffix(".json").read_text() == '{"bytes": 8}'


def test_a_damaged_report_is_told_before_anything_is_timed(model):
    model.with_suffix(".json").write_text("{")
    with pytest.raises(UserError, match="model.json is damaged"):
        benchmark(model, "android", tool="none")


def test_the_twin_stands_beside_the_file(adb, tool, model):
    adb()
    twin = model.with_name("twin.tflite")
    twin.write_bytes(model.read_bytes())
    report = time_on(ToolMachine(AdbShell(), tool), {"it": model, "twin": twin}, log=lambda text: None)
    assert [(timing.network, timing.threads) for timing in report.timings] == [
        ("it", 1),
        ("it", 4),
        ("twin", 1),
        ("twin", 4),
    ]
    assert "4 threads: the float twin takes 1.00 times as long." in report.markdown()


@pytest.mark.parametrize(
    "playing, words",
    [
        (dict(devices={}), "adb sees no phone.*USB debugging"),
        (dict(devices={"A1": "device", "B2": "device"}), r"2 phones.*--benchmark_device, of A1 \(device\), B2"),
        (dict(devices={"A1": "unauthorized"}), "A1 is unauthorized: unlock the phone and allow"),
        (dict(devices={"A1": "offline"}), "A1 is offline: reconnect"),
        (dict(devices={"A1": "no permissions (missing udev rules?); see [link]"}), "no permissions.*udev"),
        (dict(abis="x86_64,x86"), "Test Double runs x86_64,x86, but .* need arm64-v8a"),
        (dict(abis="x86_64,arm64-v8a"), "runs x86_64,arm64-v8a, but"),
        (dict(abis="armeabi-v7a,armeabi"), "runs armeabi-v7a,armeabi, but"),
        (dict(unplugged=True), "connection to the phone broke: error: device not found"),
    ],
)
def test_phones_that_cannot_be_used(adb, playing, words):
    adb(**playing)
    with pytest.raises(DeviceError, match=words):
        AdbShell()


def test_one_of_several_phones_is_chosen(adb):
    home = adb(devices={"A1": "unauthorized", "B2": "device"})
    AdbShell("B2")
    assert all(call.startswith("-s B2") for call in (home / "calls").read_text().splitlines()[1:])
    with pytest.raises(DeviceError, match="--benchmark_device=C3 is not connected; adb lists A1, B2"):
        AdbShell("C3")


@pytest.mark.parametrize(
    "status, output, words",
    [
        (139, "Segmentation fault \n", "crashed with a bad memory access .*model.tflite.*--benchmark=host"),
        (132, "Illegal instruction \n", "crashed with an illegal instruction"),
        (126, "not executable: 64-bit ELF file\n", "for another system"),
        (1, "Encountered unresolved custom op: LceQuantize.\n", "lacks Larq Compute Engine's operators"),
        (0, "Usage: benchmark_model\n", "no line 'Inference timings in us'"),
    ],
)
def test_failures_on_the_phone(adb, tool, model, status, output, words):
    adb(crash={"status": status, "output": output})
    machine = ToolMachine(AdbShell(), tool)
    with pytest.raises(DeviceError, match=f"(?s){words}") as failure:
        machine.time(model, 1, profile=False)
    assert output.strip() in str(failure.value)


def test_a_full_phone(adb, tool):
    adb(full=True)
    with pytest.raises(DeviceError, match="cannot be copied to Test Double.*free some space"):
        ToolMachine(AdbShell(), tool)


def test_the_tool_must_be_there_and_for_arm(tmp_path, tool):
    assert check_tool(str(tool)) == tool
    with pytest.raises(
        DeviceError, match=r"--benchmark_tool=\(not set\) is no file. Take .*lce_benchmark_model_android_arm64"
    ):
        check_tool("")
    tool.write_bytes(ARM64_PROGRAM.replace(b"\xb7", b"\x3e"))
    with pytest.raises(DeviceError, match="is a program for x86-64, not for 64-bit ARM"):
        check_tool(str(tool))
    tool.write_bytes(ARM64_PROGRAM[:18])
    with pytest.raises(DeviceError, match="is cut short: it has 18 bytes"):
        check_tool(str(tool))


def test_adb_that_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="adb is not installed: on Debian, apt-get install adb"):
        AdbShell()
