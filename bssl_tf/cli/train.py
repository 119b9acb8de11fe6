"""Trains a binary network without labels: teacher, stage 1, stage 2.

    bssl-train --recipe=digits --workdir=runs/digits

The same command goes on where it stopped. What lies in the workdir: bssl_tf/runs.py.
"""

import dataclasses

from rich.text import Text

from bssl_tf.config import flags as configuration
from bssl_tf.config.recipes import define_recipe_flag, expand_recipes
from bssl_tf.config.training import Config, config_groups
from bssl_tf.console import console, printable, run_entry_point
from bssl_tf.errors import Interrupted
from bssl_tf.training.run import train


def main() -> None:
    config = configuration.config_from_flags()
    configuration.warn_of_unreadable_methods()
    try:
        train(config, on_start=print_settings)
    except Interrupted as interruption:
        console.print(f"[bold]{interruption}[/]")
        raise SystemExit(interruption.status) from None


def print_settings(config: Config) -> None:
    """Print every setting that plays a part, a group a line, marking those that are not the default."""
    defaults = Config()
    for group in dataclasses.fields(config):
        values, usual = getattr(config, group.name), getattr(defaults, group.name)
        if getattr(values, "METHOD", config.method.method) != config.method.method:
            continue
        line = Text(f"{group.name:>12}:")
        for name, value in dataclasses.asdict(values).items():
            line.append(" ").append(printable(f"{name}={value}"), "bold" if value != getattr(usual, name) else "")
        console.print(line)


def run() -> None:
    """Console script ``bssl-train``."""
    configuration.define_flags(*config_groups().values())
    define_recipe_flag()
    run_entry_point(main, __doc__, expand_recipes)


if __name__ == "__main__":
    run()
