"""Flags that belong to another job than the one that is asked for are refused, not passed over."""

import pytest
from absl import flags

from bssl_tf.cli import benchmark, convert, index
from bssl_tf.config import flags as configuration
from bssl_tf.config.data import DataSettings
from bssl_tf.config.export import ExportSettings
from bssl_tf.deploy.subjects import Subject
from bssl_tf.errors import ConfigError


@pytest.fixture
def parse(monkeypatch):
    """Defines the flags of a command anew and parses its arguments."""

    def parsed(names, *arguments, groups=()):
        values = flags.FlagValues()
        monkeypatch.setattr(flags, "FLAGS", values)
        configuration.define_flags(*groups)
        for name in names:
            flags.DEFINE_string(name, "", "", flag_values=values)
        values(["program", *arguments])

    return parsed


@pytest.fixture
def parse_convert(parse):
    names = [name for job in convert.OTHER_JOBS for name in job.FLAGS]
    names += ["workdir", "classifier", "output"]
    return lambda *arguments: parse(names, *arguments, groups=(ExportSettings, DataSettings))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--show=a", "--lint=b"], "--lint=b and --show=a are jobs of their own: give one of them"),
        (["--benchmark=host", "--float_weights=int8"], "--float_weights=int8 does nothing here: it is for converting"),
        (["--show=a", "--workdir=b"], "--workdir=b does nothing here: it is for converting, not for --show"),
        (["--benchmark_tool=a"], "--benchmark_tool=a does nothing here: it is for --benchmark"),
        (["--lint_strict=1"], "--lint_strict=1 does nothing here: it is for --lint"),
        (["--show=a", "--lint_trust=1"], "--lint_trust=1 does nothing here: it is for --lint"),
    ],
)
def test_flags_of_another_job(parse_convert, arguments, message):
    parse_convert(*arguments)
    with pytest.raises(ConfigError, match=message):
        convert._other_job()


def test_flags_that_a_job_uses(parse_convert):
    parse_convert("--workdir=a", "--output=b", "--float_weights=int8", "--max_test_images=3")
    assert convert._other_job() is None
    parse_convert("--lint=a", "--image_size=32", "--lint_strict=1")
    assert convert._other_job().FLAG == "lint"
    parse_convert("--benchmark=host", "--workdir=a", "--output=b")
    assert convert._other_job().FLAG == "benchmark"


@pytest.mark.parametrize("flag", ["benchmark_tool=a", "benchmark_args=a", "benchmark_device=a"])
def test_flags_of_another_machine(parse_convert, flag):
    parse_convert("--benchmark=host", f"--{flag}")
    with pytest.raises(ConfigError, match=f"--{flag} does nothing here: it is for --benchmark=android"):
        benchmark.main()


def test_a_workdir_beside_a_classifier(parse_convert):
    parse_convert("--classifier=a", "--workdir=b")
    with pytest.raises(ConfigError, match="--workdir=b does nothing here: it is not for --classifier"):
        convert._subject()


@pytest.mark.parametrize("few", [False, True])
def test_training_images_matter_where_test_images_are_few(parse_convert, monkeypatch, tmp_path, few):
    parse_convert("--workdir=a", "--max_train_images=30")
    monkeypatch.setattr(convert, "_subject", lambda: Subject(tmp_path, (), DataSettings()))
    monkeypatch.setattr(convert, "has_few_test_images", lambda *arguments: few)
    monkeypatch.setattr(convert, "export", lambda *arguments, **named: 1 / 0)
    refused = (ZeroDivisionError, "by zero") if few else (ConfigError, "--max_train_images=30 does nothing here")
    with pytest.raises(refused[0], match=refused[1]):
        convert.main()


@pytest.mark.parametrize("flag", ["sheet=a.png", "hits=3"])
def test_hits_of_no_query(parse, flag):
    parse(["model", "photos", "index", "query", "hits", "sheet"], "--query=", f"--{flag}")
    with pytest.raises(ConfigError, match=f"--{flag} does nothing here: it needs --query"):
        index.main()
