"""Gives damaged .tflite files to the program, and counts what it makes of them.

    python -m benchmarks.fuzz_tflite --mutations=10000 --seed=0

Every file is read, checked and, if accepted, run on an image as evaluate.py does, in worker processes with bounded
memory and time. Refused: a clear error of the checks. Refused by the interpreter: a clear error, after it had seen the
file. Contained: the interpreter's own process crashed or was stopped, and the program said so. Failed: anything else,
such as a traceback, a crash of the program or a file that takes too long; the exit status is then 1. The files of the
last two kinds are kept in --output.
"""

import contextlib
import itertools
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from absl import flags

from bssl_tf.console import run_entry_point

MUTATIONS = flags.DEFINE_integer("mutations", 10_000, "Damaged files to try.", lower_bound=1)
SEED = flags.DEFINE_integer("seed", 0, "Seed of the first; the others follow.")
WORKERS = flags.DEFINE_integer("workers", 2, "Processes that try them.", lower_bound=1)
FILE = flags.DEFINE_string("file", "", "A .tflite file to damage; if empty, a small network is converted.")
OUTPUT = flags.DEFINE_string("output", "", "Folder for the files that failed or were contained.")
RANGE = flags.DEFINE_list("range", [], "For the worker processes: first and last seed.")

SECONDS, MEMORY_BYTES = 60, 6 * 2**30
REFUSED, BY_INTERPRETER, ACCEPTED = "refused", "refused by the interpreter", "accepted"
CONTAINED, FAILED = "contained", "failed"
KINDS = (REFUSED, BY_INTERPRETER, ACCEPTED, CONTAINED, FAILED)


class Slow(BaseException):
    """A file took longer than `SECONDS`."""


def outcome(content: bytes) -> tuple[str, str]:
    """What the program makes of a file, and the message."""
    from bssl_tf.deploy import TfliteBackbone
    from bssl_tf.deploy.metadata import MetadataError, read_metadata
    from bssl_tf.errors import UserError

    try:
        with contextlib.suppress(MetadataError):  # the network may be whole
            read_metadata(content)
        network = TfliteBackbone(content, num_threads=1)
        network.run(np.zeros((1, *network.image_shape), network.report.inputs[0].dtype))
    except UserError as error:
        _, ran, how = str(error).partition("a process of its own, ")
        ended = how.startswith(("crashes", "ends", "gives no answer"))
        return (CONTAINED if ended else BY_INTERPRETER if ran else REFUSED), str(error)
    except (Exception, Slow) as error:
        return FAILED, f"{type(error).__name__}: {error}"
    return ACCEPTED, ""


def small_file() -> bytes:
    """A converted network with every operator that convert.py writes, metadata and labels."""
    from bssl_tf.deploy import convert_backbone
    from bssl_tf.deploy.metadata import FileFacts, attach_metadata
    from bssl_tf.models import BackboneSpec, build_backbone

    spec = BackboneSpec("reactnet_small", 16, 3, (128.0,) * 3, (64.0,) * 3, width=32, stages=2)
    content = convert_backbone(build_backbone(spec))
    labels = {"features": tuple(f"feature {number}" for number in range(128))}
    return attach_metadata(content, FileFacts("fuzz", "a file to damage", "1", {"seed": 0}, labels))


def work(file: Path, first: int, last: int) -> None:
    """One line of JSON for each seed from first to last, as it is done."""
    from benchmarks.tflite_mutations import mutation

    resource.setrlimit(resource.RLIMIT_AS, (3 * MEMORY_BYTES, 3 * MEMORY_BYTES))

    def stop(*_):
        raise Slow

    signal.signal(signal.SIGALRM, stop)
    content = file.read_bytes()
    outcome(content)  # imports
    Path("/proc/self/clear_refs").write_text("5")  # forgets what the imports took
    outcome(content)
    usual = _memory()
    for seed in range(first, last + 1):
        mutated = mutation(content, seed)
        signal.alarm(SECONDS)
        begin = time.perf_counter()
        kind, message = outcome(mutated)
        signal.alarm(0)
        record = dict(seed=seed, kind=kind, message=message, seconds=time.perf_counter() - begin)
        print(json.dumps({**record, "memory": _memory() - usual}), flush=True)


def _memory() -> int:
    """Largest so far, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _supervise(file: Path, first: int, last: int) -> list[dict]:
    """The records of a range; a worker that dies is one, too, and the next goes on behind it."""
    records = []
    while first <= last:
        command = [sys.executable, "-m", "benchmarks.fuzz_tflite", f"--file={file}", f"--range={first},{last}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        records += found
        first += len(found)
        if first <= last:
            dead = f"the program died with status {done.returncode}"
            records.append(dict(seed=first, kind=FAILED, message=dead, seconds=0.0, memory=0))
            first += 1
    return records


def report(records: list[dict]) -> str:
    kinds = Counter(record["kind"] for record in records)
    slowest = max(records, key=lambda record: record["seconds"])
    lines = [f"{len(records)} damaged files: " + ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)]
    lines.append(f"slowest {slowest['seconds']:.1f} s (seed {slowest['seed']})")
    lines.append(f"most memory beyond an honest file's: {max(r['memory'] for r in records) / 2**20:.0f} MiB")
    for kind in (CONTAINED, FAILED):
        messages = [record["message"] for record in records if record["kind"] == kind]
        reasons = Counter(message.partition("of its own, ")[2][:90] or message[:200] for message in messages)
        lines += [f"  {kind}, {count} ×: {reason}" for reason, count in reasons.most_common(12)]
    return "\n".join(lines)


def main() -> None:
    if RANGE.value:
        return work(Path(FILE.value), *map(int, RANGE.value))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(FILE.value) if FILE.value else Path(folder) / "small.tflite"
        if not FILE.value:
            file.write_bytes(small_file())
        edges = np.linspace(SEED.value, SEED.value + MUTATIONS.value, WORKERS.value + 1).astype(int).tolist()
        with ThreadPoolExecutor(WORKERS.value) as pool:
            parts = pool.map(lambda edge: _supervise(file, edge[0], edge[1] - 1), itertools.pairwise(edges))
            records = [record for part in parts for record in part]
        print(report(records))
        failed = [record for record in records if record["kind"] == FAILED]
        kept = [record["seed"] for record in records if record["kind"] in (FAILED, CONTAINED)]
        if kept and OUTPUT.value:
            from benchmarks.tflite_mutations import mutation

            Path(OUTPUT.value).mkdir(parents=True, exist_ok=True)
            for seed in kept:
                (Path(OUTPUT.value) / f"{seed}.tflite").write_bytes(mutation(file.read_bytes(), seed))
    sys.exit(bool(failed))


if __name__ == "__main__":
    import bssl_tf  # noqa: F401  before TensorFlow

    run_entry_point(main, __doc__)
