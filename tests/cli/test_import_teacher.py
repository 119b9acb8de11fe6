import subprocess
import sys

import numpy as np


def import_teacher(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "bssl_tf.cli.import_teacher", *arguments], capture_output=True, text=True, timeout=120
    )


def test_existing_output_is_named_before_anything_is_read(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    done = import_teacher(f"--source={tmp_path}/nothing.npz", f"--output={tmp_path}")
    assert done.returncode == 2
    assert f"--output={tmp_path} exists: name a new folder" in done.stderr


def test_a_refused_file_is_one_sentence(tmp_path):
    np.savez(tmp_path / "other.npz", **{"features.0.weight": np.zeros(3)})
    done = import_teacher(f"--source={tmp_path}/other.npz", f"--output={tmp_path}/out", "--pixels=0..1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: --source=") and "no known layout" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()
