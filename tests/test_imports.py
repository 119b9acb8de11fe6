"""Imports run one way: no package imports one that stands above it, and no modules import each other in a circle."""

import ast
from pathlib import Path

import bssl_tf

ROOT = Path(bssl_tf.__file__).parent
LAYERS = (
    ("cli",),
    ("atlas", "detection"),
    ("training",),
    ("evaluation",),
    ("search",),
    ("deploy",),
    ("runs",),
    ("data",),
    ("config",),
    ("methods",),
    ("models",),
    ("device",),
    ("losses", "balancing", "progress"),
    ("console", "flag_errors", "native_logs", "locks"),
    ("files", "file_sets", "npz_files", "errors", "_lazy", "_legacy_keras"),
)
"""From the top down: a package may import those of the layers below it."""
RANKS = {package: rank for rank, packages in enumerate(LAYERS) for package in packages}


def modules():
    """Dotted name → path of every module but the package's own `__init__`, which hands names on from everywhere."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts != ("__init__",):
            found[".".join(("bssl_tf", *(part for part in parts if part != "__init__")))] = path
    return found


def is_for_types(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported(tree, names, at_import_time):
    """Modules of ours that a source imports, not counting ``if TYPE_CHECKING``; functions only on request."""
    found, stack = set(), list(tree.body)
    while stack:
        node = stack.pop()
        if is_for_types(node) or (at_import_time and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports of this package are written in full"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (full & names) or {node.module}
        stack += ast.iter_child_nodes(node)
    return found & names


def test_every_package_has_its_layer():
    packages = {name.split(".")[1] for name in modules()}
    assert packages - set(RANKS) == {"recipes"} & packages


def test_packages_import_downwards_only():
    paths = modules()
    upwards = []
    for name, path in paths.items():
        rank = RANKS.get(name.split(".")[1], 0)
        for other in imported(ast.parse(path.read_text()), set(paths), at_import_time=False):
            if other.count(".") and RANKS[other.split(".")[1]] < rank:
                upwards.append(f"{name} imports {other}")  # noqa: PERF401 – shorter than a comprehension
    assert not upwards, "\n".join(sorted(upwards))


def test_no_modules_import_each_other_in_a_circle():
    paths = modules()
    imports = {
        name: imported(ast.parse(path.read_text()), set(paths), at_import_time=True) for name, path in paths.items()
    }
    finished, on_the_way = set(), []

    def visit(name):
        assert name not in on_the_way, " → ".join([*on_the_way[on_the_way.index(name) :], name])
        if name in finished:
            return
        on_the_way.append(name)
        for other in sorted(imports[name]):
            visit(other)
        on_the_way.pop()
        finished.add(name)

    for name in imports:
        visit(name)
