"""Names of the release before: flags, saved settings and metrics files still work under them."""

from absl import flags
from rich.console import Console

from bssl_tf.config import renamed
from bssl_tf.config.flags import define_flags, group_from_flags
from bssl_tf.config.saved import load, save, settings_that_differ
from bssl_tf.config.training import Config, ViewSettings
from bssl_tf.training.monitoring.metrics_log import MetricsTable, read_table


def test_an_old_flag_sets_the_setting_and_warns(capsys):
    registry = flags.FlagValues()
    define_flags(ViewSettings, registry=registry)
    registry(["train.py", "--small_views=3", "--local_crop_max=0.2"])
    views = group_from_flags(ViewSettings, base=ViewSettings(local_crop_size=40), registry=registry)
    assert (views.local_crops, views.local_crop_max) == (3, 0.2)
    assert "--small_views is called --local_crops now" in capsys.readouterr().err
    Console().print(registry.main_module_help())  # an alias has a help text like any flag


def test_without_an_old_name_there_is_no_warning(capsys):
    registry = flags.FlagValues()
    define_flags(ViewSettings, registry=registry)
    registry(["train.py", "--local_crops=3"])
    assert group_from_flags(ViewSettings, registry=registry).local_crops == 3
    assert capsys.readouterr().err == ""


def test_saved_settings_are_read_under_their_old_names(tmp_path):
    path = tmp_path / "config.json"
    save(Config(views=ViewSettings(local_crops=2, local_crop_max=0.3)), path)
    text = path.read_text()
    for old, new in renamed.SETTINGS.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    path.write_text(text)
    assert "small_views" in text and load(path).views == ViewSettings(local_crops=2, local_crop_max=0.3)
    assert settings_that_differ({"small_views": 2}, {"local_crops": 2}) == {}
    assert settings_that_differ({"small_views": 2}, {"local_crops": 4}) == {"local_crops": (2, 4)}


def test_an_old_metrics_file_goes_on_under_the_new_names(tmp_path):
    path = tmp_path / "epochs.csv"
    path.write_text("step,flipped_weights,knn\n10,0.25,\n20,0.125,0.5\n")
    table = MetricsTable(path, None, 20)
    table.append(30, {"flip_ratio": 0.0625, "knn": 0.75})
    assert path.read_text().splitlines()[0] == "step,flip_ratio,knn"
    assert [row["flip_ratio"] for row in read_table(path)] == [0.25, 0.125, 0.0625]
