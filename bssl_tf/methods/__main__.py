"""Lists all methods, what they need and their options: ``python -m bssl_tf.methods``."""

from rich.console import Console
from rich.table import Table

from bssl_tf.console import print_warning
from bssl_tf.methods.registry import description, method_names, unreadable_methods

if __name__ == "__main__":
    table = Table("--method", "what it is", "needs", "options and their defaults", show_lines=True)
    for name in method_names():
        described = description(name)
        needs = ", ".join(need for need in described.needs if need not in ("backbone", "total_steps"))
        options = "\n".join(f"{option}={default}" for option, default in described.options.items())
        if described.options_are_flags:
            options = "flags of its own: see train.py --help"
        table.add_row(name, described.summary, needs.replace("num_classes", "labels"), options)
    Console().print(table)
    for name, problem in unreadable_methods().items():
        print_warning(f"the method {name} is left out: {problem}")
