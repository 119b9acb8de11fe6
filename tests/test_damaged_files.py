"""What a run has on disk may be damaged or edited by hand: named by file and key, without a traceback."""

import json

import pytest

from bssl_tf.config import saved
from bssl_tf.config.training import Config, RunSettings
from bssl_tf.deploy.subjects import CLASSIFIER_FILES, classifier_in
from bssl_tf.errors import UserError
from bssl_tf.evaluation.networks import named_networks, networks_of_run
from bssl_tf.evaluation.results import Results
from bssl_tf.evaluation.subsets import saved_subset
from bssl_tf.files import write_json
from bssl_tf.models.spec import SPEC_FILE, WEIGHTS_FILE
from bssl_tf.runs import PhaseFolder
from bssl_tf.training.phases import phases
from bssl_tf.training.run import train

NO_OBJECTS = ["", "{", "null", "[]", "3", '"x"', "\xff", "[" * 100_000]


def edited(path, *keys, value):
    """Change one value of a JSON file."""
    content = json.loads(path.read_text())
    at = content
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.fixture
def config_file(tmp_path):
    saved.save(Config(run=RunSettings(workdir=str(tmp_path))), tmp_path / "config.json")
    return tmp_path / "config.json"


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_no_file_of_a_run_may_hold_anything_else(tmp_path, config_file, text):
    folder = PhaseFolder(tmp_path / "stage2")
    folder.path.mkdir()
    readers = {
        config_file: lambda: saved.load(config_file),
        folder.settings_file: phases(saved.load(config_file))[-1].check_settings,
        folder.summary_file: lambda: folder.summary,
        tmp_path / "results.json": lambda: Results(tmp_path / "results.json"),
    }
    for path, read in readers.items():
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(UserError, match=path.name.replace(".", r"\.")):
            read()


@pytest.mark.parametrize(
    "keys, value, message",
    [
        (["data"], None, "data must hold names and values"),
        (["run", "seed"], "x", "--seed=x: give a whole number"),
        (["run", "seed"], -1, "--seed=-1: give at least 0"),
        (["run", "seed"], True, "--seed=True"),
        (["optimizer", "learning_rate"], float("nan"), "--learning_rate=nan: give a finite number"),
        (["student", "student"], "alexnet", "--student=alexnet: choose one of"),
        (["views", "flip"], 1, "--flip=1: give true or false"),
        (["data", "dataset"], None, "--dataset=None: give text"),
    ],
)
def test_values_in_config_json_are_checked(config_file, keys, value, message):
    edited(config_file, *keys, value=value)
    with pytest.raises(UserError, match=rf"config\.json: .*{message}"):
        saved.load(config_file)


SCORE = {"measure": "20-NN", "value": 0.5, "images": 10, "labels": "", "headline": True, "details": {}}
RECORD = {
    **dict.fromkeys(("network", "identity", "data_name", "protocol"), "x"),
    **{key: {} for key in ("settings", "part", "data")},
    "feature_size": 16,
    "image": [8, 1],
    "training_images": 10,
    "test_images": 5,
    "scores": [SCORE],
    "date": "2026-11-24 12:00:00",
}


@pytest.mark.parametrize(
    "record, message",
    [
        (None, "must hold names and values"),
        ({**RECORD, "scores": None}, "scores cannot be 'None'"),
        ({**RECORD, "scores": [{"measure": "x"}]}, r"scores\[0\]: labels is missing"),
        ({**RECORD, "scores": [SCORE, 3]}, r"scores\[1\] must hold names and values"),
        *(
            ({**RECORD, "scores": [SCORE, {**SCORE, name: value}]}, rf"scores\[1\]: {name} cannot be")
            for name, value in {
                "measure": None,
                "labels": 3,
                "images": True,
                "headline": "no",
                "details": [1],
            }.items()
        ),
        *(
            ({**RECORD, "scores": [{**SCORE, "value": value}]}, r"scores\[0\]: value cannot be")
            for value in ("high", True, float("nan"), float("inf"), 1.5, -0.5, 10**400)
        ),
        *(
            ({**RECORD, "scores": [{**SCORE, "details": {"confusion": confusion}}]}, "confusion cannot be")
            for confusion in (3, [[1, 2]], [[1, "x"], [0, 1]])
        ),
        ({**RECORD, "feature_size": "z"}, "feature_size cannot be 'z'"),
        ({**RECORD, "image": [8]}, r"image cannot be '\[8\]'"),
        ({**RECORD, "test_images": None}, "test_images cannot be 'None'"),
        ({**RECORD, "views": 3}, "views cannot be '3'"),
        ({**RECORD, "identity": 3}, "identity cannot be '3'"),
        ({**RECORD, "settings": []}, r"settings cannot be '\[\]'"),
    ],
)
def test_records_of_results_json_are_checked(tmp_path, record, message):
    write_json(tmp_path / "results.json", {"good": RECORD})
    assert len(Results(tmp_path / "results.json").all()) == 1
    write_json(tmp_path / "results.json", {"bad": record})
    with pytest.raises(UserError, match=rf"results\.json: bad.*{message}.*measured again"):
        Results(tmp_path / "results.json")


SUMMARY = {"steps": 4, "epochs": 2, "seconds": 1.5, "images_per_second": 9.0, "final": {"loss": 0.5}, "warnings": ["w"]}


@pytest.mark.parametrize(
    "values, message",
    [
        ({"steps": "many"}, "steps cannot be 'many'"),
        ({"steps": True}, "steps cannot be 'True'"),
        ({"seconds": float("nan")}, "seconds cannot be 'nan'"),
        ({"warnings": 3}, "warnings cannot be '3'"),
        ({"warnings": [3]}, r"warnings\[0\] cannot be '3'"),
        ({"final": {"loss": "x"}}, "final: loss cannot be 'x'"),
        ({"final": {"loss": None}}, "final: loss cannot be 'None'"),
    ],
)
def test_the_summary_of_a_phase_is_checked(tmp_path, values, message):
    folder = PhaseFolder(tmp_path)
    folder.write_summary(SUMMARY | {"final": {"loss": float("nan"), "steps": 3}})  # a metric may be nan
    assert folder.summary["warnings"] == ["w"]
    folder.write_summary(SUMMARY | values)
    with pytest.raises(UserError, match=rf"summary\.json: {message}: delete it"):
        _ = folder.summary


def test_a_summary_without_one_of_its_values_is_named(tmp_path):
    folder = PhaseFolder(tmp_path)
    folder.write_summary({name: value for name, value in SUMMARY.items() if name != "warnings"})
    with pytest.raises(UserError, match=r"summary\.json: warnings is missing: delete it"):
        _ = folder.summary


def finished_run(workdir):
    """A run of which every phase says that it is done."""
    config = Config(run=RunSettings(workdir=str(workdir)))
    for phase in phases(config):
        phase.folder.path.mkdir()
        phase.folder.write_summary(SUMMARY)
    return config


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text("{"), None])
def test_the_configuration_of_a_finished_run_is_restored_by_its_command(tmp_path, config_file, damage, capsys):
    config = finished_run(tmp_path)
    if damage:
        damage(config_file)
    else:
        edited(config_file, "views", "crop_min", value=float("nan"))
    with pytest.raises(UserError, match=r"config\.json.*the command that trained the run again"):
        saved.load(config_file)
    train(config)
    assert saved.load(config_file) == config and "written anew" in capsys.readouterr().err
    config_file.touch()
    before = config_file.stat().st_mtime_ns
    train(config)
    assert config_file.stat().st_mtime_ns == before and not capsys.readouterr().err


@pytest.mark.parametrize("text", ["null", '{"outputs": 3}', '{"outputs": [3]}', '{"parity": "good"}'])
def test_the_report_of_a_tflite_file_is_checked(tmp_path, text):
    (tmp_path / "model.tflite").write_bytes(b"x")
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(UserError, match=r"model\.json"):
        named_networks([tmp_path / "model.tflite"])
    with pytest.raises(UserError, match=r"model\.json"):
        networks_of_run(tmp_path, Config())


@pytest.mark.parametrize("places", [None, "all", [1, "x"], [99], [-1], [True]])
def test_a_subset_of_other_things_than_images_is_refused(tmp_path, places):
    import numpy as np

    labels = np.arange(10) % 2
    saved_subset(tmp_path, "digits", "f", labels, "4", seed=0)
    (path,) = tmp_path.iterdir()
    edited(path, "places", value=places)
    with pytest.raises(UserError, match="places cannot be"):
        saved_subset(tmp_path, "digits", "f", labels, "4", seed=0)


@pytest.mark.parametrize(
    "description, message",
    [
        ("null", "must hold names and values"),
        ('{"class_names": ["a"]}', "facts cannot be"),
        ('{"facts": {"data": {}}, "class_names": "ab"}', "class_names cannot be 'ab'"),
        ('{"facts": {"data": {"holdout": "x"}}, "class_names": ["a"]}', "--holdout=x: give a number"),
    ],
)
def test_the_description_of_a_classifier_is_checked(tmp_path, description, message):
    for name in (SPEC_FILE, WEIGHTS_FILE, *CLASSIFIER_FILES):
        (tmp_path / name).write_text(description)
    with pytest.raises(UserError, match=rf"{CLASSIFIER_FILES[0]}.*{message}"):
        classifier_in(tmp_path)
