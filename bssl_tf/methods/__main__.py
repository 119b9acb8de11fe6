"""Lists all methods, what they need and their options: ``python -m bssl_tf.methods``."""

from rich.console import Console
from rich.table import Table

from bssl_tf.methods.registry import description, method_names

if __name__ == "__main__":
    table = Table("--method", "what it is", "needs", "options and their defaults", show_lines=True)
    for name in method_names():
        described = description(name)
        needs = ", ".join(need for need in described.needs if need not in ("backbone", "total_steps"))
        options = "flags of its own" if name == "bssl" else "\n".join(f"{n}={v}" for n, v in described.options.items())
        table.add_row(name, described.summary, needs.replace("num_classes", "labels"), options)
    Console().print(table)
