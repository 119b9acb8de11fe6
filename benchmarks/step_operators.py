"""What the time of a training step goes into, by kind of operator: binary student beside its float twin.

    python -m benchmarks.step_operators [--network=reactnet_small]

BSSL's step with cached teacher's features, as in `benchmarks.step`, on one thread, as TensorFlow's profiler sees it:
each operator's own time, without that of what it calls. Binary and twin take turns; the shortest of each counts. The
floor is the multiply-accumulates of all convolutions at the rate of one large matrix product.
"""

import itertools

from absl import flags
from rich.console import Console

from benchmarks.operator_times import KINDS, REST, traced
from benchmarks.report import Result, Table, best_seconds
from benchmarks.step_parts import ABOUT_TARGET, SETUPS, macs_of, parts_of_step, student_of, teacher_of
from bssl_tf.console import run_entry_point
from bssl_tf.native_logs import import_tensorflow

NETWORK = flags.DEFINE_enum("network", "reactnet_small", list(SETUPS), "Student.")
ROUNDS = flags.DEFINE_integer("rounds", 4, "Rounds of both, in turn.", lower_bound=1)
SAVE = flags.DEFINE_bool("save", True, "Write benchmarks/results/step_operators.json.")


def measure(name: str, rounds: int) -> Table:
    import tensorflow as tf

    from bssl_tf.models import BINARY, FLOAT

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    setup = SETUPS[name]
    teacher = teacher_of(setup)
    images = tf.random.uniform((2 * setup.batch, setup.image_size, setup.image_size, setup.channels), 0, 255)
    students = {mode: student_of(name, setup, mode) for mode in (BINARY, FLOAT)}
    steps = {
        mode: parts_of_step(setup, teacher, student, images)["step, features cached"]
        for mode, student in students.items()
    }
    for step in steps.values():
        step()
    found: dict[str, list[dict[str, float]]] = {mode: [] for mode in steps}
    for _, mode in itertools.product(range(rounds), steps):
        found[mode].append(traced(steps[mode]))
    binary, twin = (min(found[mode], key=lambda times: sum(times.values())) for mode in (BINARY, FLOAT))
    square = tf.random.normal((2048, 2048))
    product = tf.function(lambda: tf.matmul(square, square), autograph=False)
    floor = 1e3 * 2 * setup.batch * macs_of(students[BINARY]) * best_seconds(product) / 2048**3
    rows = [
        (kind, binary[kind], twin[kind], floor if kind.startswith("convolutions") else None) for kind in (*KINDS, REST)
    ]
    rows.append(("step", *(sum(times.values()) for times in (binary, twin)), 3 * floor))
    return Table(
        f"Step of {name}, {setup.image_size}×{setup.image_size}, {setup.batch} images × 2 views, teacher's features "
        "cached, one thread",
        ("own time of", "binary, ms", "float twin, ms", "floor, ms"),
        rows,
        (ABOUT_TARGET,),
    )


def main() -> None:
    import_tensorflow()
    result = Result("step_operators", [measure(NETWORK.value, ROUNDS.value)])
    result.show(Console())
    if SAVE.value:
        print(result.save())


if __name__ == "__main__":
    run_entry_point(main, __doc__)
