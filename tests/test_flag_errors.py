"""What is wrong on a command line is one sentence with flag, value and remedy, and exit status 2."""

import subprocess
import sys

import pytest
from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.training import config_groups
from bssl_tf.flag_errors import flag_error


@pytest.fixture
def registry():
    registry = flags.FlagValues()
    configuration.define_flags(*config_groups().values(), registry=registry)
    flags.DEFINE_string("model", None, "A .tflite file.", flag_values=registry, required=True)
    flags.DEFINE_integer("port", 0, "A port.", lower_bound=0, upper_bound=65535, flag_values=registry)
    flags.DEFINE_integer("hits", 5, "Hits.", lower_bound=1, flag_values=registry)
    flags.DEFINE_float("share", 0.1, "A share.", upper_bound=0.5, flag_values=registry)
    flags.DEFINE_enum("pixels", "auto", ("auto", "0..1"), "Range.", flag_values=registry)
    return registry


@pytest.mark.parametrize(
    "argument, sentence",
    [
        ("--epochs=abc", "--epochs=abc: give a whole number."),
        ("--epochs=1e3", "--epochs=1e3: give a whole number."),
        ("--learning_rate=1,5", "--learning_rate=1,5: give a number."),
        ("--learning_rate=a: b", "--learning_rate=a: b: give a number."),
        ("--flip=maybe", "--flip=maybe: give true or false."),
        ("--port=99999", "--port=99999: give a whole number of 0 to 65535."),
        ("--hits=0", "--hits=0: give a whole number of at least 1."),
        ("--share=2", "--share=2: give a number of at most 0.5."),
        ("--pixels=3", "--pixels=3: give one of auto, 0..1."),
        ("--epchs=3", "--epchs=3: there is no flag --epchs: did you mean --epochs? See --help."),
        ("--noflp", "--noflp: there is no flag --noflp: did you mean --noflip or --flip? See --help."),
        ("--zzzzzzz", "--zzzzzzz: there is no flag --zzzzzzz. See --help."),
        ("--epochs", "--epochs has no value: give --epochs=VALUE, a whole number."),
        ("--flip", "--model is not set: A .tflite file."),
        ("--flagfile=/no/file", "--flagfile: No such file or directory: '/no/file'. Name a file of flags."),
    ],
)
def test_wrong_flags_are_named_with_what_is_accepted(registry, argument, sentence):
    with pytest.raises(flags.Error) as raised:
        registry(["train.py", argument])
    assert flag_error(raised.value, registry) == sentence


@pytest.mark.parametrize("command", ["train", "evaluate", "convert", "index", "atlas", "import_teacher", "detect"])
def test_every_command_says_it_in_one_line_and_exits_with_two(command):
    arguments = [sys.executable, "-m", f"bssl_tf.cli.{command}", "--no_such_flag=3"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith("error: --no_such_flag=3: there is no flag --no_such_flag"), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_flagfile_that_is_no_text(tmp_path):
    (tmp_path / "flags.cfg").write_bytes(b"\xff\xfe\x00")
    arguments = [sys.executable, "-m", "bssl_tf.cli.train", f"--flagfile={tmp_path / 'flags.cfg'}"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: --flagfile: the file is no utf-8 text"), done.stderr
