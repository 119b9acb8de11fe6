"""What bssl-convert tells to do next."""

import dataclasses
import shlex
from pathlib import Path

import pytest
from absl import flags

from bssl_tf.cli.convert import evaluate_command
from bssl_tf.config.flags import define_flags, group_from_flags
from bssl_tf.config.training import DataSettings

FOLDER = DataSettings("folder:my photos", holdout=0.05, max_train_images=300, max_test_images=90)
TFDS = DataSettings("tfds:mnist", data_dir="/my data", train_split="train[:90%]", test_split="train[90%:]")


@pytest.mark.parametrize("data", [FOLDER, TFDS, DataSettings()])
def test_the_next_command_names_the_images_that_the_classifier_was_trained_for(monkeypatch, data):
    monkeypatch.setattr("sys.argv", ["bssl-convert"])
    trained_for = dataclasses.replace(data, image_size=96, channels=3, decoded_cache_mb=7)
    program, model, *given = shlex.split(evaluate_command(Path("my models/a.tflite"), trained_for))
    assert (program, model) == ("bssl-evaluate", "--model=my models/a.tflite")
    registry = flags.FlagValues()
    define_flags(DataSettings, registry=registry)
    registry(["evaluate", *given])
    assert group_from_flags(DataSettings, registry=registry) == data


def test_settings_that_an_evaluation_refuses_are_left_out(monkeypatch):
    monkeypatch.setattr("sys.argv", ["bssl-convert"])
    command = evaluate_command(Path("a.tflite"), DataSettings(holdout=0.3, data_dir="there", test_split="test[:5]"))
    assert command == "bssl-evaluate --model=a.tflite --dataset=digits"
