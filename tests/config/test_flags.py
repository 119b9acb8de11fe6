"""Settings: one definition for flags, checks and the saved file."""

import dataclasses
import json

import pytest
from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config import saved
from bssl_tf.config.training import BsslSettings, Config, MethodSettings, OptimizerSettings, RunSettings
from bssl_tf.errors import ConfigError
from bssl_tf.methods.registry import description

WITH_WORKDIR = Config(run=RunSettings(workdir="runs/x"))


@pytest.fixture
def parse(monkeypatch):
    """Parse a command line with flags of its own; gives the configuration."""

    def parse(*arguments):
        values = flags.FlagValues()
        monkeypatch.setattr(flags, "FLAGS", values)
        configuration.define_flags(*(group.type for group in dataclasses.fields(Config)))
        values(["train.py", *arguments])
        return configuration.config_from_flags()

    return parse


def test_flags_without_a_value_have_the_defaults_of_the_settings(parse):
    assert parse("--workdir=runs/x") == WITH_WORKDIR


def test_every_kind_of_flag_reaches_its_setting(parse):
    config = parse("--workdir=w", "--dataset=folder:/x", "--epochs=7", "--temperature=0.5", "--target=frozen")
    assert (config.data.dataset, config.optimizer.epochs) == ("folder:/x", 7)
    assert config.bssl.temperature == 0.5 and config.bssl.target == "frozen"


def test_no_two_groups_have_a_setting_of_the_same_name():
    names = [field.name for group in dataclasses.fields(Config) for field in dataclasses.fields(group.type)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "--workdir is not set"),
        (("--workdir=w", "--student=resnet"), "--student=resnet: choose one of reactnet_small, reactnet_a"),
        (("--workdir=w", "--temperature=-1"), "--temperature=-1.0: give at least 0"),
        (("--workdir=w", "--target=moving"), "--target=moving: choose one of joint, frozen, contrast, balanced"),
        (("--workdir=w", "--micro_batches=2"), "--method=bssl compares the images of a batch"),
        (("--workdir=w", "--similarity=logits", "--similarity_map=mlp"), "--similarity=logits compares none"),
        (("--workdir=w", "--balance_start=1.5"), "--balance_start=1.5: give at most 1"),
        (("--workdir=w", "--teacher_pixels=imagenet"), "--teacher_pixels=imagenet is for a saved Keras model"),
        (("--workdir=w", "--channels=2"), "--channels=2: choose one of 0, 1, 3"),
        (("--workdir=w", "--ablation=joint", "--balance=cosine"), "contradicts --ablation=joint"),
        (("--workdir=w", "--ablation=similarity", "--balance=cosine"), "use --ablation=balancing"),
        (("--workdir=w", "--epochs=5", "--warmup_epochs=5"), "leaves nothing of --epochs=5"),
        (("--workdir=w", "--weight_decay=0.1"), "--weight_decay=0.1 does nothing with --optimizer=adam"),
        (("--workdir=w", "--teacher_weight_decay=0.1"), "use --teacher_optimizer=adamw"),
        (("--workdir=w", "--target=joint", "--micro_batches=3"), "--micro_batches=3 does not divide --batch_size=256"),
        (("--workdir=w", "--feature_cache_dir=/x"), "--feature_cache_dir=/x needs --view_cycle"),
        (("--workdir=w", "--method=simsiam"), "--method=simsiam: choose one of bssl, byol, moco_v2"),
        (("--workdir=w", "--teacher_method=bssl"), "--teacher_method=bssl: choose one of byol"),
        (("--workdir=w", "--method=byol", "--method_options=tau=1"), "byol has no option 'tau=1'.*momentum=0.99"),
        (("--workdir=w", "--teacher_method_options=tau=1"), "--teacher_method_options=tau=1: simclr has no option"),
        (("--workdir=w", "--method=byol", "--ablation=joint"), "--ablation=joint is a row of BSSL's"),
        (("--workdir=w", "--method=moco_v2", "--micro_batches=2"), "moco_v2 compares the images of a batch"),
        (
            ("--workdir=w", "--method=s2bnn", "--method_options=contrastive=0.5", "--micro_batches=2"),
            "compares the images of a batch, by its option contrastive.*Set --method_options=contrastive=0",
        ),
        (("--workdir=w", "--local_crops=2"), "--local_crops=2 is for methods with multi-crop"),
        (("--workdir=w", "--method=swav", "--local_crops=2", "--augment_on=device"), "needs --augment_on=host"),
        (("--workdir=w", "--crop_max=0.1"), "--crop_max=0.1 is below --crop_min=0.2"),
    ],
)
def test_bad_values_are_refused_by_flag_and_value(parse, arguments, message):
    with pytest.raises(ConfigError, match=message):
        parse(*arguments)


@pytest.mark.parametrize("options", ["", "contrastive=0,temperature=0.1"])
def test_distillation_alone_takes_micro_batches(parse, options):
    config = parse("--workdir=w", "--method=s2bnn", f"--method_options={options}", "--micro_batches=4")
    assert config.optimizer.micro_batches == 4


@pytest.mark.parametrize(
    "ablation, stages, ends",
    [
        ("joint", (2,), (0.0, 0.0)),
        ("similarity", (2,), (0.9, 0.9)),
        ("balancing", (2,), (0.9, 0.7)),
        ("full", (1, 2), (0.9, 0.7)),
    ],
)
def test_every_ablation_row_is_one_flag(parse, ablation, stages, ends):
    config = parse("--workdir=w", f"--ablation={ablation}", "--target=joint")
    assert config.stage_numbers == stages and config.bssl.balance_ends == ends


@pytest.mark.parametrize(
    "ablation, ends", [("joint", (0, 0)), ("similarity", (0.5, 0.5)), ("balancing", (0.9, 0.7)), ("full", (0.5, 0.5))]
)
def test_targets_that_cannot_collapse_weigh_both_losses_alike(parse, ablation, ends):
    for target in ("contrast", "balanced"):
        assert parse("--workdir=w", f"--ablation={ablation}", f"--target={target}").bssl.balance_ends == ends
    assert BsslSettings(balance="cosine").balance_ends == (0.9, 0.7)


def test_one_flag_gives_the_papers_letter():
    expected = {"temperature": 0.2, "similarity_map": "auto", "standardise": False, "target": "joint"}
    options = BsslSettings(target="joint").options(100)
    assert options.items() >= expected.items() and "target_temperature" not in options
    assert (options["balance"].start, options["balance"].end, options["balance"].total_steps) == (0.9, 0.7, 100)


def test_options_are_those_of_the_method():
    for target in ("joint", "frozen", "contrast", "balanced"):
        assert BsslSettings(target=target).options(1).keys() <= description("bssl").options.keys()
    defaults = BsslSettings().options(1)
    of_method = description("bssl").options
    assert {name: defaults[name] for name in defaults if name != "balance"}.items() <= of_method.items()


@pytest.mark.parametrize("trained, target", [(True, "joint"), (False, "frozen")])
def test_runs_from_before_there_was_a_target_go_on(tmp_path, trained, target):
    saved.save(WITH_WORKDIR, tmp_path / "config.json")
    groups = json.loads((tmp_path / "config.json").read_text())
    for name in ("target", "similarity_map", "standardise", "target_temperature"):
        del groups["bssl"][name]
    groups["bssl"] |= {"train_target": trained, "temperature": 0.2}
    (tmp_path / "config.json").write_text(json.dumps(groups))
    loaded = saved.load(tmp_path / "config.json").bssl
    assert loaded.resolved() == BsslSettings(target=target).resolved()
    old = dict(similarity="features", balance_start=0.9, balance_end=0.7, temperature=0.2, pseudo_classes=2000)
    old |= dict(views="swapped", target_learning_rate_multiplier=1.0, train_target=trained)
    assert saved.settings_that_differ(old, BsslSettings(target=target).resolved()) == {}
    assert "target" in saved.settings_that_differ(old, BsslSettings().resolved())


def test_stages_and_balance_can_be_chosen_apart_from_the_rows():
    assert Config(method=MethodSettings(stages="1")).stage_numbers == (1,)
    both = Config(method=MethodSettings(stages="1,2"), bssl=BsslSettings(ablation="joint"))
    assert both.stage_numbers == (1, 2)
    assert BsslSettings(balance="constant", balance_start=0.5).balance_ends == (0.5, 0.5)


def test_saved_configuration_comes_back_the_same(tmp_path):
    config = dataclasses.replace(WITH_WORKDIR, optimizer=OptimizerSettings(epochs=3, learning_rate=3e-4))
    saved.save(config, tmp_path / "config.json")
    assert saved.load(tmp_path / "config.json") == config


def test_differences_name_setting_old_and_new():
    old = saved.result_settings(OptimizerSettings())
    new = saved.result_settings(OptimizerSettings(epochs=3))
    assert saved.settings_that_differ(old, new) == {"epochs": (100, 3)}
    assert "workdir" not in saved.result_settings(RunSettings())


def test_a_setting_younger_than_a_run_had_its_default():
    old = saved.result_settings(OptimizerSettings())
    del old["micro_batches"]
    asked = saved.result_settings(OptimizerSettings())
    assert saved.settings_that_differ(old, asked) == {}
    asked["micro_batches"] = 2
    assert saved.settings_that_differ(old, asked) == {"micro_batches": (1, 2)}


def test_a_configuration_older_than_a_group_can_be_read(tmp_path):
    saved.save(WITH_WORKDIR, tmp_path / "config.json")
    groups = json.loads((tmp_path / "config.json").read_text())
    del groups["compute"], groups["optimizer"]["micro_batches"]
    (tmp_path / "config.json").write_text(json.dumps(groups))
    assert saved.load(tmp_path / "config.json") == WITH_WORKDIR
