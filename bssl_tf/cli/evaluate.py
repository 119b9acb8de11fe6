"""Measures what a representation is good for, on any checkpoint or .tflite file.

    python evaluate.py --workdir=runs/digits
    python evaluate.py --workdir=runs/digits --protocols=knn,linear,svm,finetune,scratch --labels=1%,10%,100%
    python evaluate.py --workdir=runs/digits --transfer=tfds:fashion_mnist
    python evaluate.py --compare=runs/a,runs/b --output=comparison
    python evaluate.py --model=model.tflite --dataset=folder:PATH

With --workdir, everything found there is measured on the run's own data: a random binary network, both
stages, the teacher and all .tflite files. What was measured before is not measured again.
"""

from dataclasses import fields
from pathlib import Path

from absl import flags

from bssl_tf.config import flags as configuration
from bssl_tf.config.evaluation import EvaluationSettings
from bssl_tf.config.training import DataSettings
from bssl_tf.console import console, run_entry_point


def main() -> None:
    from bssl_tf.evaluation.comparison import compare_runs  # scikit-learn takes seconds to import
    from bssl_tf.evaluation.protocols.registry import settings_without_effect
    from bssl_tf.evaluation.runner import evaluate, run_config
    from bssl_tf.evaluation.tables import print_tables

    arguments = flags.FLAGS
    settings = configuration.group_from_flags(EvaluationSettings)
    configuration.warn_of_unreadable_methods()
    configuration.refuse_without_effect(settings_without_effect(settings))
    if arguments.compare:
        names = [*(field.name for field in fields(DataSettings)), "workdir", "model", "transfer"]
        configuration.refuse_without_effect(dict.fromkeys(names, "is not for --compare, which measures nothing"))
        result = compare_runs(_items(arguments.compare), settings, output=arguments.output, plots=arguments.plots)
    else:
        base, transfer = run_config(Path(arguments.workdir) if arguments.workdir else None), _items(arguments.transfer)
        idle = dict.fromkeys(("image_size", "channels"), "is that of each network")
        idle["decoded_cache_mb"] = "is for training"
        used = ["data_dir"] if any(name.startswith("tfds:") for name in transfer) else []
        result = evaluate(
            arguments.workdir,
            arguments.model,
            settings,
            data=configuration.data_from_flags(base.data, idle, used),
            transfer=transfer,
            output=arguments.output,
            plots=arguments.plots,
        )
    print_tables(result)
    if result.folder:
        console.print(f"also in {result.folder / 'table.md'}, with all measures")


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def run() -> None:
    """Console script ``bssl-evaluate``."""
    configuration.define_flags(EvaluationSettings)
    configuration.define_flags(DataSettings, left_alone="that of the run, if there is one")
    flags.DEFINE_string("workdir", "", "A run whose networks and .tflite files are measured, on the run's own data.")
    flags.DEFINE_multi_string("model", [], "A .tflite file or a folder with backbone.json to measure; repeatable.")
    flags.DEFINE_string(
        "transfer", "", "More data sets to measure on, separated by commas: digits,tfds:NAME,folder:PATH."
    )
    flags.DEFINE_string("compare", "", "Runs to show side by side, separated by commas, as far as they are measured.")
    flags.DEFINE_string(
        "output", "", "Folder for results, table, plots and cached features; WORKDIR/evaluation if empty."
    )
    flags.DEFINE_bool("plots", True, "Draw plots, where there is something new to show.")
    run_entry_point(main, __doc__)


if __name__ == "__main__":
    run()
