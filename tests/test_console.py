"""What is printed may come from files of anybody, and go to any terminal."""

import io
import os
import shlex
import signal
import subprocess
import sys

import pytest
from rich.table import Table

from bssl_tf.console import PlainConsole, printable, program

HOSTILE = "\x1b]0;owned\x07\x1b[31mred\x9b1m\u202egpj.exe\r\x08[bold]b[/][link=file:///x]l[/] \udce9 :smile:"


def shown(*printed, width=200):
    stream = io.StringIO()
    PlainConsole(file=stream, force_terminal=True, color_system="truecolor", width=width).print(*printed)
    return stream.getvalue()


def test_control_characters_are_escaped():
    assert printable("a\x1b[2Jb\x07\x9b\u202e\udcff") == r"a\x1b[2Jb\x07\x9b\u202e\udcff"
    assert printable("lines\nand\ttabs, ä × → 猫") == "lines\nand\ttabs, ä × → 猫"


def test_text_of_files_reaches_the_terminal_as_text():
    for text in (shown(HOSTILE), shown(f"file {HOSTILE}"), shown(["x", HOSTILE][1])):
        assert not set("\x1b\x07\x9b\u202e\r\x08\udce9") & set(text)
        assert "[bold]b[/][link=file:///x]l[/]" in text and ":smile:" in text


def test_cells_and_titles_of_tables_are_text_too():
    table = Table("name", title=HOSTILE)
    table.add_row(HOSTILE)
    table.add_row("[red]x.tflite")
    stream = io.StringIO()
    PlainConsole(file=stream, width=200).print(table)
    text = stream.getvalue()
    assert not set("\x1b\x07\x9b\u202e\r\udce9") & set(text) and "[red]x.tflite" in text


def test_the_first_word_of_a_message_may_have_a_style():
    assert shown("[bold green]done[/]: [red]x") == "\x1b[1;32mdone\x1b[0m: [red]x\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_terminals_with_few_characters(encoding):
    program = (
        "from bssl_tf.console import console, run_entry_point, print_error\n"
        "def main(): console.print('8×8 → λ … 猫 \\udce9'); print_error('猫 × \\udce9')\n"
        "run_entry_point(main, '')"
    )
    environment = {"PYTHONIOENCODING": encoding, "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert out.replace("×", "x").replace("…", "...") == "8x8 -> lambda ... \\u732b \\udce9\n"
    assert "error: \\u732b" in err and "Traceback" not in err


def test_a_name_that_a_library_cannot_take_is_told_in_one_line():
    program = "from bssl_tf.console import run_entry_point\nrun_entry_point(lambda: 'caf\\udce9'.encode(), '')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(r"error: caf\udce9 has bytes that are no UTF-8"), done.stderr


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path):
    program = (
        "from absl import flags\nfrom bssl_tf.console import run_entry_point\n"
        "for name in ('workdir', 'note'): flags.DEFINE_string(name, '', '')\n"
        "run_entry_point(lambda: print(flags.FLAGS.workdir, flags.FLAGS.note), '')"
    )
    command = [sys.executable, "-c", program, "--workdir=~/runs/x", "--note=a~/b"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)})
    assert done.stdout == f"{tmp_path}/runs/x a~/b\n", done.stderr


@pytest.mark.parametrize(
    "number, status, said", [(signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGINT, 130, "interrupted")]
)
def test_signals_end_a_command_with_a_line(number, status, said):
    program = (
        "import signal, time\nfrom bssl_tf.console import run_entry_point\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background inherits its neglect
        "def main(): print('works', flush=True); time.sleep(60)\n"
        "run_entry_point(main, '')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "works\n"
    process.send_signal(number)
    err = process.communicate()[1]
    assert process.returncode == status
    assert err == f"error: {said}. What was finished is kept, and the same command goes on from there.\n"


def test_the_next_command_is_called_as_this_one_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert program("convert") == "bssl-convert"  # there is no script here
    (tmp_path / "convert.py").touch()
    assert program("convert") == "python convert.py"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/bssl-train"])
    assert program("convert") == "bssl-convert"


@pytest.mark.parametrize("asked, status", [("--help", 0), ("--helpfull", 0), ("--hlp", 2)])
def test_help_is_no_error(asked, status):
    code = "from bssl_tf.console import run_entry_point\nrun_entry_point(lambda: None, 'What this does.')"
    run = subprocess.run([sys.executable, "-c", code, asked], capture_output=True, text=True, timeout=60)
    assert run.returncode == status
    assert ("What this does." in run.stdout) == (status == 0) and ("there is no flag" in run.stderr) == (status == 2)


@pytest.mark.parametrize("asked", ["--help", ""])
def test_a_reader_that_leaves_early_is_no_error(asked):
    code = (
        "import time; from bssl_tf.console import run_entry_point\n"
        "def main():\n  while True: print('line', flush=True); time.sleep(0.01)\n"
        "run_entry_point(main, 'What this does.\\n' * 10**5)"
    )
    command = f"{sys.executable} -c {shlex.quote(code)} {asked} | head -1"
    run = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (128 + signal.SIGPIPE, ""), run.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error_of_their_own(closed):
    python = shlex.quote(sys.executable)
    code = "from bssl_tf.console import *; run_entry_point(lambda: console.print('x') or print('y'), 'usage')"
    done = subprocess.run(f"{python} -c {shlex.quote(code)} {closed}", shell=True, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr
    assert done.stdout == ("x\ny\n" if closed == "2>&-" else "")
    done = subprocess.run(f"{python} -c {shlex.quote(code)} --no_such_flag {closed}", shell=True, capture_output=True)
    assert done.returncode == 2
