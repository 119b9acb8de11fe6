from bssl_tf.deploy.provenance import provenance, without_folders
from bssl_tf.models import BackboneSpec

SPEC = BackboneSpec("reactnet_small", 8, 1, mean=(78,), std=(96,))


def test_paths_of_the_machine_stay_at_home():
    assert without_folders("--workdir=/volume/me/runs/digits/") == "--workdir=digits"
    assert without_folders("folder:/volume/me/photos") == "folder:photos"
    assert without_folders("--dataset=folder:/volume/me/photos") == "--dataset=folder:photos"
    assert without_folders("tfds:fashion_mnist") == "tfds:fashion_mnist"
    assert without_folders("/volume/convert.py") == "convert.py"


def test_what_training_and_pixels_were():
    training = {"dataset": "folder:/volume/me/photos", "seed": 3, "epochs": 5, "teacher_fingerprint": "beef"}
    facts = provenance(
        SPEC, "cafe", training, ["features"], ["python", "/volume/me/convert.py", "--output=/volume/x.tflite"]
    )
    assert facts["training"].items() >= {"dataset": "folder:photos", "seed": 3, "epochs": 5, "teacher": "beef"}.items()
    assert facts["pixels"]["normalisation_inside"] == {"mean": [78.0], "std": [96.0]}
    assert facts["command"] == "python convert.py --output=x.tflite" and "/volume" not in str(facts)
    other = provenance(SPEC, "cafe", {**training, "epochs": 6}, ["features"], [])
    assert other["training"]["settings_sha256"] != facts["training"]["settings_sha256"]
