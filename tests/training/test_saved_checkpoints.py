"""A checkpoint that was damaged is found out, and the one before it is used."""

from pathlib import Path

import pytest
import tensorflow as tf

from bssl_tf.errors import DiskFull, UserError
from bssl_tf.training.saved_checkpoints import (
    disk_full_named,
    is_whole,
    latest_whole,
    steps_saved,
    write_sums,
)


@pytest.fixture
def folder(tmp_path):
    """With checkpoints of steps 2 and 4."""
    number = tf.Variable(tf.zeros(1000))
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(number=number), str(tmp_path), max_to_keep=2)
    for step in (1, 2, 4):
        number.assign(tf.fill([1000], float(step)))
        manager.save(step)
        write_sums(tmp_path, step)
    return tmp_path


def value_in(prefix):
    return tf.train.load_checkpoint(prefix).get_tensor("number/.ATTRIBUTES/VARIABLE_VALUE")[0]


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "a bit of the data": lambda folder: flip_a_bit(folder / "ckpt-4.data-00000-of-00001"),
    "a bit of the index": lambda folder: flip_a_bit(folder / "ckpt-4.index"),
    "cut": lambda folder: (folder / "ckpt-4.data-00000-of-00001").write_bytes(b"abc"),
    "no data": lambda folder: (folder / "ckpt-4.data-00000-of-00001").unlink(),
    "no index": lambda folder: (folder / "ckpt-4.index").unlink(),
    "nothing of it": lambda folder: [path.unlink() for path in folder.glob("ckpt-4.*")],
}


def test_the_latest_is_used_and_sums_of_those_gone_are_deleted(folder):
    assert steps_saved(folder) == [4, 2] and value_in(latest_whole(folder, repair=True)) == 4
    assert sorted(path.name for path in folder.glob("*.sha256")) == ["ckpt-2.sha256", "ckpt-4.sha256"]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("with_sums", [True, False])
def test_a_damaged_one_gives_way_to_the_one_before_with_a_warning(folder, damage, with_sums, capsys):
    if not with_sums:
        for path in folder.glob("*.sha256"):
            path.unlink()
    DAMAGES[damage](folder)
    assert value_in(latest_whole(folder, repair=True)) == 2
    assert "ckpt-4" in (message := capsys.readouterr().err) and "of step 2" in message
    assert tf.train.latest_checkpoint(str(folder)).endswith("ckpt-2")
    assert steps_saved(folder) == [2] and not list(folder.glob("ckpt-4*"))
    assert latest_whole(folder, repair=True) and capsys.readouterr().err == ""  # it is warned of once


def test_without_repair_nothing_is_written(folder):
    flip_a_bit(folder / "ckpt-4.index")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert latest_whole(folder, repair=False).endswith("ckpt-2")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_damaged_list_of_tensorflow_does_not_matter(folder):
    (folder / "checkpoint").write_text("nonsense {")
    assert value_in(latest_whole(folder, repair=True)) == 4


def test_where_none_is_whole_the_remedy_is_named(folder):
    for step in (2, 4):
        flip_a_bit(folder / f"ckpt-{step}.index")
    with pytest.raises(UserError, match="is whole: restore its files from a copy, or delete"):
        latest_whole(folder, repair=True)


def test_an_unfinished_save_is_no_damage(folder, capsys):
    (folder / "ckpt-6.data-00000-of-00001").write_bytes(b"abc")
    assert value_in(latest_whole(folder, repair=True)) == 4 and capsys.readouterr().err == ""
    assert is_whole(folder, 4) and not is_whole(folder, 6)


def test_no_folder_is_no_checkpoint(tmp_path):
    assert latest_whole(tmp_path / "none", repair=True) is None


def test_tensorflows_full_disk_is_one_line(tmp_path):
    with (
        pytest.raises(DiskFull, match=r"a checkpoint takes 3 MB, and .* Free some space, .* nothing was saved before"),
        disk_full_named(tmp_path, 3_000_000, 7),
    ):
        raise tf.errors.ResourceExhaustedError(None, None, "ckpt-7_temp/part; No space left on device")
    with pytest.raises(tf.errors.ResourceExhaustedError), disk_full_named(tmp_path, 1, 1):
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory")


def content_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


FULL = tf.errors.ResourceExhaustedError(None, None, "No space left on device")


def test_on_a_full_disk_nothing_stays_of_the_checkpoint_that_failed(folder):
    before = content_of(folder)
    (folder / "ckpt-6_temp").mkdir()
    (folder / "ckpt-6_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate1").write_bytes(bytes(1000))
    with pytest.raises(DiskFull), disk_full_named(folder, 4000, 6):
        raise FULL
    assert content_of(folder) == before and not list(folder.glob("ckpt-6*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_checkpoint_whose_index_does_not_fit_is_deleted(folder):
    before = content_of(folder)
    (folder / "ckpt-6.index").symlink_to("/dev/full")
    checkpoint = tf.train.Checkpoint(number=tf.Variable(tf.zeros(1000)))
    with (
        pytest.raises(DiskFull, match="goes on from step 4, whose checkpoint is whole"),
        disk_full_named(folder, 4000, 6),
    ):
        checkpoint.write(str(folder / "ckpt-6"))
    assert content_of(folder) == before and not list(folder.glob("ckpt-6*"))


@pytest.mark.parametrize("with_sums", [True, False])
def test_a_checkpoint_that_is_whole_stays_on_a_full_disk(folder, with_sums):
    if not with_sums:
        (folder / "ckpt-4.sha256").unlink()
    before = content_of(folder)
    (folder / "checkpoint.tmpab12").write_text("half of TensorFlow's list")
    with pytest.raises(DiskFull), disk_full_named(folder, 4000, 4):
        raise FULL
    assert content_of(folder) == before
