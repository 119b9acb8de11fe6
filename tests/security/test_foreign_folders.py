"""Folders with a backbone or a head of somebody else, checkpoints to import, and indices: data, within limits."""

import json
import pickle
import time
import zipfile

import h5py
import numpy as np
import pytest

from bssl_tf.errors import UserError
from bssl_tf.models import BackboneSpec, build_backbone, load_backbone, load_head, mlp_head, save_backbone, save_head
from bssl_tf.models.classifier import build_classifier, load_classifier, save_classifier
from bssl_tf.models.pytorch_import.checkpoint_files import read_checkpoint
from bssl_tf.models.spec import read_spec
from bssl_tf.models.weights_file import read_arrays
from bssl_tf.npz_files import ArraysError, read_npz
from bssl_tf.search.photo_index import PhotoIndex

SPEC = BackboneSpec("reactnet_small", 8, 1, mean=(78.0,), std=(96.0,), width=8, stages=1)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.fixture
def folder(tmp_path):
    save_backbone(build_backbone(SPEC), SPEC, tmp_path)
    return tmp_path


def soon_refused(load, *arguments, match):
    begin = time.monotonic()
    with pytest.raises(UserError, match=match):
        load(*arguments)
    assert time.monotonic() - begin < 10


def test_a_description_of_a_network_far_larger_than_its_weights(folder):
    facts = json.loads((folder / "backbone.json").read_text())
    (folder / "backbone.json").write_text(json.dumps({**facts, "width": 2**12}))
    soon_refused(load_backbone, folder, match="backbone.json describes a far larger network")


@pytest.mark.parametrize(
    "field, text",
    [
        ("stages", "1000000"),
        ("stages", "9"),
        ("depth", "300"),
        ("depth", "true"),
        ("image_size", "1000000"),
        ("image_size", "8.0"),
        ("width", "NaN"),
        ("width", "8.5"),
        ("width", "1e999"),
        ("dense", '"4"'),
        ("mean", "[NaN]"),
        ("std", "[1e999]"),
        ("std", "[1" + "0" * 400 + "]"),
        ("mean", "null"),
        ("channels", "true"),
        ("name", "[]"),
    ],
)
def test_a_description_beyond_the_limits(folder, field, text):
    facts = json.loads((folder / "backbone.json").read_text())
    (folder / "backbone.json").write_text(json.dumps({**facts, field: "here"}).replace('"here"', text))
    soon_refused(read_spec, folder, match=f"backbone.json cannot be used: .*({field}|backbone)")


@pytest.mark.parametrize("name, load", [("backbone.json", read_spec), ("projection.json", load_head)])
@pytest.mark.parametrize("text", ["[" * 100_000, "null", "\xff"])
def test_a_description_that_is_no_json(folder, name, load, text):
    save_head(mlp_head(4, 8, 2, "projection"), folder)
    (folder / name).write_bytes(text.encode("latin-1"))
    soon_refused(load, folder, match=name)


@pytest.mark.parametrize(
    "changes", [{"input_width": 10**30}, {"layers": [{"units": 10**30}]}, {"layers": [{"units": 2}] * 1000}]
)
def test_a_head_beyond_the_limits(tmp_path, changes):
    save_head(mlp_head(4, 8, 2, "projection"), tmp_path)
    facts = json.loads((tmp_path / "projection.json").read_text())
    (tmp_path / "projection.json").write_text(json.dumps({**facts, **changes}))
    soon_refused(load_head, tmp_path, match="projection.json cannot be used")


@pytest.mark.parametrize(
    "names", [None, 3, [1, 2], [], ["a"] * 10**6], ids=["none", "number", "numbers", "empty", "many"]
)
def test_a_classifier_with_other_names_of_classes(tmp_path, names):
    classifier = build_classifier(SPEC, ("a", "b"), build_backbone(SPEC))
    save_classifier(classifier, tmp_path, {})
    facts = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps({**facts, "class_names": names}))
    soon_refused(load_classifier, tmp_path, match="classifier.*(class_names|far larger network)")


def test_weights_with_flipped_bytes(folder):
    path = folder / "backbone.weights.h5"
    whole, random = path.read_bytes(), np.random.default_rng(0)
    shapes = {f"{index:05d}": tuple(array.shape) for index, array in enumerate(build_backbone(SPEC).weights)}
    for _ in range(300):
        content = bytearray(whole)
        for place in random.integers(0, min(len(whole), 20_000), 4):
            content[place] ^= int(random.integers(1, 256))
        path.write_bytes(content)
        try:
            read_arrays(path, shapes, "the network")
        except UserError:
            continue


def test_arrays_of_another_shape_or_of_no_numbers_are_not_read(folder):
    path = folder / "backbone.weights.h5"
    with h5py.File(path, "a") as file:
        shape = file["00000"].shape
        del file["00000"]
        file.create_dataset("00000", shape, h5py.vlen_dtype(np.float32))
    soon_refused(load_backbone, folder, match="holds object, not numbers")
    with h5py.File(path, "a") as file:
        del file["00000"]
        file.create_dataset("00000", shape, "S4")
    soon_refused(load_backbone, folder, match="00000 holds text, not numbers")


def test_an_array_that_takes_no_room_in_the_file(folder):
    with h5py.File(folder / "backbone.weights.h5", "a") as file:
        file.create_dataset("99999", (10**12,), np.float32)
    soon_refused(load_backbone, folder, match="unpack to more than")


def test_a_link_to_another_file(folder):
    with h5py.File(folder / "other.h5", "w") as file:
        file["secret"] = np.zeros(4)
    with h5py.File(folder / "backbone.weights.h5", "a") as file:
        file["99999"] = h5py.ExternalLink("other.h5", "secret")
    soon_refused(load_backbone, folder, match="link to another place or file")


def test_a_head_far_larger_than_its_weights(tmp_path):
    save_head(mlp_head(4, 8, 2, "projection"), tmp_path)
    facts = json.loads((tmp_path / "projection.json").read_text())
    (tmp_path / "projection.json").write_text(json.dumps({**facts, "input_width": 2**30}))
    soon_refused(load_head, tmp_path, match="projection.json describes a far larger network")


@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.npz"])
def test_a_pickle_in_a_checkpoint_is_not_run(tmp_path, name):
    pytest.importorskip("torch")
    path, marker = tmp_path / name, tmp_path / "marker"
    if name.endswith(".npz"):
        np.savez(path, weights=np.array([Payload(marker)], dtype=object))
    else:
        path.write_bytes(pickle.dumps({"weights": Payload(marker)}))
    soon_refused(read_checkpoint, path, match="--source=.*(refused|damaged|arrays alone)")
    assert not marker.exists()


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.zeros(3, "V0"), np.zeros(3, [("a", "f4")]), np.zeros(2, "M8[s]")]
)
def test_an_array_of_other_things_than_numbers_is_refused(tmp_path, array):
    np.savez(tmp_path / "weights.npz", weights=array)
    with pytest.raises(ArraysError, match="not numbers"):
        read_npz(tmp_path / "weights.npz")


def test_a_checkpoint_larger_than_what_it_holds(tmp_path):
    torch = pytest.importorskip("torch")
    path, endless = tmp_path / "weights.pth", {}
    endless["again"] = endless
    one = torch.zeros(2**16)
    wide = {"a": 1}
    for _ in range(12):
        wide = dict.fromkeys(map(str, range(10)), wide)
    for content, why in (
        ({"a": torch.zeros(1).expand(2**40)}, "larger than its values"),
        ({"a": torch.empty(2**40, device="meta")}, "larger than its values"),
        (endless, "nested more than 16 deep"),
        (wide, "more than 1,000,000 entries"),
        ({str(number): one for number in range(100)}, "unpack to more than 16 times the size"),
    ):
        torch.save(content, path)
        soon_refused(read_checkpoint, path, match=f"--source=.*refused: .*{why}")


def test_an_index_with_a_pickle_is_not_run(tmp_path):
    marker = tmp_path / "marker"
    with open(tmp_path / "photos.index", "wb") as file:
        np.savez(file, facts=np.array([Payload(marker)], dtype=object))
    soon_refused(PhotoIndex.load, tmp_path / "photos.index", match="is no index of this program")
    assert not marker.exists()


@pytest.mark.parametrize("read", [read_checkpoint, PhotoIndex.load], ids=["checkpoint", "photos"])
def test_a_zip_bomb_is_not_unpacked(tmp_path, read):
    path = tmp_path / "bomb.npz"
    header = np.lib.format.magic(1, 0) + b"\x76\x00"
    described = str({"descr": "<f4", "fortran_order": False, "shape": (2**25,)}).ljust(0x75).encode() + b"\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("facts.npy", "features.npy", "centre.npy"):
            with archive.open(name, "w") as member:
                member.write(header + described)
                for _ in range(2**5):
                    member.write(bytes(2**22))
    soon_refused(read, path, match="unpack to .* times the size of the file")
