"""The table of wrong values: each is refused by flag and value, or named as without effect."""

import dataclasses
from dataclasses import fields

import pytest
from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.detection import BoxAugmentationSettings, DetectionTrainingSettings, DetectorSettings
from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.export import ExportSettings
from bssl_tf.config.training import Config, DataSettings
from bssl_tf.config.validation import validate_group
from bssl_tf.config.without_effect import without_effect
from bssl_tf.errors import ConfigError
from bssl_tf.methods.registry import description, method_names

GROUPS = (
    *(group.type for group in fields(Config)),
    EvaluationSettings,
    ExportSettings,
    DetectorSettings,
    BoxAugmentationSettings,
    DetectionTrainingSettings,
)
NUMBERS = [(group, field) for group in GROUPS for field in fields(group) if field.type in (int, float)]


def named(item):
    return item.__name__ if isinstance(item, type) else getattr(item, "name", None)


def refuses(group, name, value):
    with pytest.raises(ConfigError, match=f"--{name}="):
        validate_group(dataclasses.replace(group(), **{name: value}))


@pytest.fixture
def parse(monkeypatch):
    """Parse a command line of train.py with flags of its own; gives the configuration."""

    def parse(*arguments):
        values = flags.FlagValues()
        monkeypatch.setattr(flags, "FLAGS", values)
        configuration.define_flags(*(group.type for group in fields(Config)))
        values(["train.py", "--workdir=w", *arguments])
        return configuration.config_from_flags()

    return parse


@pytest.mark.parametrize("group, field", NUMBERS, ids=named)
def test_no_number_is_nan_or_infinite_or_without_limits(group, field):
    for value in ("nan", "inf", "-inf"):
        refuses(group, field.name, float(value))
    refuses(group, field.name, 10**20)
    refuses(group, field.name, -(10**20))


@pytest.mark.parametrize("group", GROUPS, ids=named)
def test_values_of_another_type_are_refused(group):
    for field in fields(group):
        wrong = {str: 3, bool: "yes", int: 1.5, float: "x"}[field.type]
        refuses(group, field.name, wrong)
        refuses(group, field.name, None)
        if field.type is not bool:
            refuses(group, field.name, True)


@pytest.mark.parametrize("group", GROUPS, ids=named)
def test_defaults_are_within_their_limits(group):
    validate_group(group())


@pytest.mark.parametrize("name", [name for name in method_names() if not description(name).options_are_flags])
def test_all_numbers_among_the_options_of_methods_have_limits(name):
    for option, argument in description(name).arguments.items():
        if argument.kind in (int, float):
            low, high = argument.limits
            assert low <= argument.default <= high
            for value in ("nan", "inf", "-inf", "1e400", "-99999999", "99999999999", "", "x"):
                with pytest.raises(ConfigError, match=f"--method_options={option}="):
                    description(name).parsed(f"{option}={value}")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--epochs=99999999999999999999"], "--epochs=99999999999999999999: give at most 1000000"),
        (["--pseudo_classes=50000000"], "--pseudo_classes=50000000: give at most 1000000"),
        (["--pseudo_classes=2000000000"], "give at most 1000000"),
        (["--image_size=100000"], "--image_size=100000: give at most 2048"),
        (["--image_size=-1"], "--image_size=-1: give at least 0"),
        (["--blur_sigma=inf"], "--blur_sigma=inf: give a finite number"),
        (["--learning_rate=nan"], "--learning_rate=nan: give a finite number"),
        (["--temperature=nan"], "--temperature=nan"),
        (["--balance_end=nan"], "--balance_end=nan"),
        (["--temperature=1e-9"], "--temperature=1e-09: give 0 for the usual one, or at least 0.001"),
        (["--crop_min=nan"], "--crop_min=nan"),
        (["--holdout=nan"], "--holdout=nan"),
        (["--holdout=5"], "--holdout=5.0: give at most 0.9"),
        (["--checkpoint_minutes=nan"], "--checkpoint_minutes=nan"),
        (["--target_learning_rate_multiplier=nan"], "--target_learning_rate_multiplier=nan"),
        (["--student_width=1000000"], "--student_width=1000000: give at most 4096"),
        (["--student_stages=20"], "--student_stages=20: give at most 8"),
        (["--teacher_stages=50"], "--teacher_stages=50: give at most 8"),
        (["--seed=4294967296"], "--seed=4294967296: give at most 4294967295"),
        (["--seed=-1"], "--seed=-1: give at least 0"),
        (["--max_test_images=-5"], "--max_test_images=-5: give at least 0"),
        (["--workdir=runs/lr[0.1]"], r"--workdir=runs/lr\[0.1\]: \[ in the path of a checkpoint .* none of \* \? \[ "),
        (["--workdir=runs/a*b?"], r"--workdir=runs/a\*b\?: \* and \? in the path"),
        (["--teacher=~/moco"], "--teacher=~/moco: ~ is not replaced here. Write the home folder's full path"),
        (["--dataset=folder:a\0b"], "leave out the null character"),
        (
            ["--method=moco_v2", "--method_options=queue_size=-5"],
            "queue_size=-5: '-5' is out of range: give 1 to",
        ),
        (["--method=byol", "--method_options=momentum=nan"], "'nan' is no finite number"),
        (["--method=s2bnn", "--method_options=views=other"], "'other': choose one of swapped, same"),
        (["--teacher_method_options=temperature=inf"], "--teacher_method_options=temperature=inf"),
    ],
)
def test_wrong_flags_of_training(parse, arguments, message):
    with pytest.raises(ConfigError, match=message):
        parse(*arguments)


def test_tfds_knows_the_home_folder_itself(parse):
    assert parse("--data_dir=~/tensorflow_datasets").data.data_dir == "~/tensorflow_datasets"


def test_the_largest_seed_is_allowed(parse):
    assert parse("--seed=4294967295").run.seed == 2**32 - 1


@pytest.mark.parametrize(
    "settings, message",
    [
        (dict(knn_k="0"), "--knn_k=0"),
        (dict(knn_k="9" * 5000), "with at most 9 digits"),
        (dict(svm_shots="1,nan"), "--svm_shots=1,nan"),
        (dict(labels="nan%"), "--labels=nan%"),
        (dict(labels="1e400"), "--labels=1e400"),
        (dict(protocols=","), "--protocols is empty"),
    ],
)
def test_wrong_lists_of_evaluation(settings, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationSettings(**settings).check()


@pytest.mark.parametrize(
    "arguments, names",
    [
        ([], []),
        (["--train_split=validation"], ["train_split"]),
        (["--data_dir=/x", "--holdout=0.2"], ["data_dir", "holdout"]),
        (["--dataset=folder:x", "--holdout=0.2"], []),
        (["--dataset=tfds:x", "--train_split=all"], []),
        (["--method=simclr", "--pseudo_classes=10"], ["pseudo_classes"]),
        (["--student=quicknet", "--student_width=64"], ["student_width"]),
        (["--teacher=resnet18", "--teacher_stages=2"], ["teacher_stages"]),
        (["--task=student", "--teacher_epochs=30"], ["teacher_epochs"]),
        (["--method=simclr", "--teacher=resnet18", "--teacher_epochs=50"], ["teacher", "teacher_epochs"]),
        (["--method=simclr", "--teacher_epochs=5"], ["teacher_epochs"]),
        (["--method=simclr", "--view_cycle=2", "--nofeature_cache"], ["feature_cache"]),
        (["--method=simclr", "--task=teacher", "--teacher=resnet18", "--teacher_epochs=50"], ["method"]),
        (["--task=teacher", "--epochs=5", "--student=quicknet"], ["epochs", "student"]),
        (["--task=teacher", "--weight_decay=0.1", "--micro_batches=3"], ["micro_batches", "weight_decay"]),
        (["--task=teacher", "--pseudo_classes=10", "--optimizer=lars"], ["optimizer", "pseudo_classes"]),
        (["--task=teacher", "--momentum=0.5"], ["momentum"]),
        (["--task=teacher", "--momentum=0.5", "--teacher_optimizer=sgd"], []),
        (["--trust_teacher"], ["trust_teacher"]),
        (["--teacher=/a/model.keras", "--trust_teacher"], []),
        (["--local_crop_size=4"], ["local_crop_size"]),
        (["--jitter_probability=0", "--hue=0.2"], ["hue"]),
        (["--blur_probability=0", "--blur_sigma=1"], ["blur_sigma"]),
        (["--nofeature_cache"], ["feature_cache"]),
        (["--momentum=0.5"], ["momentum"]),
        (["--momentum=0.5", "--optimizer=lars"], []),
        (["--worker_timeout=3"], ["worker_timeout"]),
        (["--target=frozen", "--target_learning_rate_multiplier=0.1"], ["target_learning_rate_multiplier"]),
        (["--balance=constant", "--balance_end=0.6"], ["balance_end"]),
        (["--balance_start=0.8", "--balance_end=0.6"], ["balance_start", "balance_end"]),
        (["--target=joint", "--balance_start=0.8", "--balance_end=0.6"], []),
        (["--ablation=joint", "--balance_start=0.6"], ["balance_start"]),
    ],
)
def test_settings_without_effect_are_named(parse, arguments, names):
    assert sorted(without_effect(parse(*arguments))) == sorted(names)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--image_size=32"], "--image_size=32 does nothing here: it is that of the network"),
        (["--train_split=all"], "--train_split=all does nothing here: it is for --dataset=tfds:NAME"),
        (["--holdout=0.2"], "--holdout=0.2 does nothing here: it is for --dataset=folder:PATH"),
        (["--holdout=5"], "--holdout=5.0: give at most 0.9"),
        (["--max_test_images=-5"], "--max_test_images=-5: give at least 0"),
        (["--channels=2"], "--channels=2: choose one of"),
    ],
)
def test_wrong_data_flags_of_programs_that_use_trained_networks(monkeypatch, arguments, message):
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    configuration.define_flags(DataSettings)
    values(["evaluate.py", *arguments])
    with pytest.raises(ConfigError, match=message):
        configuration.data_from_flags(DataSettings(), {"image_size": "is that of the network"})


def test_a_data_flag_that_has_an_effect_is_taken(monkeypatch):
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    configuration.define_flags(DataSettings)
    values(["evaluate.py", "--max_test_images=5", "--data_dir=/x"])
    data = configuration.data_from_flags(
        DataSettings(image_size=16), {"image_size": "is that of the network"}, ["data_dir"]
    )
    assert (data.max_test_images, data.image_size, data.data_dir) == (5, 16, "/x")
