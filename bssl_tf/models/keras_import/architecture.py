"""Checks the configuration of a foreign Keras model, and writes it anew with nothing in it but what was checked.

Keras finds classes by the names ``module``, ``class_name`` and ``registered_name`` in a configuration; ``module`` is
imported. Here a class is known by ``class_name`` (or its registered name) alone, which has to be on a list, and neither
of the others reaches Keras.
"""

from typing import Any

from bssl_tf.models.keras_import.allowed_names import (
    BY_ENDING,
    CONTAINERS,
    LAYERS,
    OPERATOR_LAYERS,
    OPERATORS,
    POLICIES,
    RENAMED,
)
from bssl_tf.models.keras_import.connections import layers_without_inputs

LARGEST_COUNT_OF_LAYERS = 5000
LARGEST_COUNT_OF_VALUES = 1_000_000
DEEPEST_NESTING = 8
_LONGEST_TEXT = 1000
_FORBIDDEN_KEYS = ("class_name", "module", "registered_name", "config")
_COMPOSITE = "_COMPOSITE_TYPE"


class RefusedArchitecture(ValueError):
    """The configuration names something that is on no list; the message says what and where."""


def checked(configuration: Any) -> dict[str, Any]:
    """A model's configuration, of ``config.json`` or of the attribute ``model_config``, in Keras's older form.

    Args:
        configuration: as JSON gives it.

    Returns:
        A new dictionary with "class_name" and "config", made of checked values only, for
        ``tf.keras.layers.deserialize(…, use_legacy_format=True)``.

    Raises:
        RefusedArchitecture: a layer, function, initialiser, … that is not allowed, or no configuration of a model.
    """
    return _Checker().model(configuration, "the model", 0)


class _Checker:
    def __init__(self) -> None:
        self._layers, self._values = 0, 0

    def model(self, entry: Any, where: str, depth: int) -> dict[str, Any]:
        name, config = _class_and_config(entry, where)
        if name not in CONTAINERS:
            raise RefusedArchitecture(f"{where} is a {name}, not one of {', '.join(CONTAINERS)}")
        if depth > DEEPEST_NESTING:
            raise RefusedArchitecture(f"models within models, more than {DEEPEST_NESTING} deep")
        layers = config.get("layers")
        if not isinstance(layers, list):
            raise RefusedArchitecture(f"{where} has no list of layers: it is a class of its own, made of code")
        rest = {key: self._plain(value, where) for key, value in config.items() if key not in ("layers", "dtype")}
        checked_layers = [self._layer(layer, depth) for layer in layers]
        if name != "Sequential" and (idle := layers_without_inputs(checked_layers)):
            raise RefusedArchitecture(f"{where} has a layer {idle[0][:100]!r} whose inputs no other layer gives")
        return {"class_name": name, "config": {**rest, "layers": checked_layers}}

    def _layer(self, entry: Any, depth: int) -> dict[str, Any]:
        self._layers += 1
        if self._layers > LARGEST_COUNT_OF_LAYERS:
            raise RefusedArchitecture(f"more than {LARGEST_COUNT_OF_LAYERS} layers")
        name, config = _class_and_config(entry, "a layer")
        where = f"its layer {str(config.get('name'))[:100]!r}"
        if name in CONTAINERS:
            checked_entry = self.model(entry, where, depth + 1)
        elif name in LAYERS:
            if name in OPERATOR_LAYERS and config.get("function") not in OPERATORS:
                raise RefusedArchitecture(f"{where} calls the function {str(config.get('function'))[:100]!r}")
            checked_entry = {"class_name": name, "config": self._settings(config, where)}
        else:
            raise RefusedArchitecture(f"{where} is a {name}")
        for key in ("name", "inbound_nodes"):  # of a functional model
            if key in entry:
                checked_entry[key] = self._plain(entry[key], where)
        return checked_entry

    def _settings(self, config: dict[str, Any], where: str) -> dict[str, Any]:
        return {key: self._setting(key, value, where) for key, value in config.items()}

    def _setting(self, key: str, value: Any, where: str) -> Any:
        allowed = next((names for ending, names in BY_ENDING.items() if key.endswith(ending)), None)
        if allowed is None or value is None:
            return self._plain(value, where)
        where = f"{where}: its {key}"
        if allowed is POLICIES and isinstance(value, dict):
            _, config = _class_and_config(value, where)
            value = config.get("name")
        if isinstance(value, dict):
            name, config = _class_and_config(value, where)
            if name == "function":  # Keras's newer form of a function's name
                value = value.get("config")
            elif name in allowed:
                return {"class_name": name, "config": {k: self._setting(k, v, where) for k, v in config.items()}}
            else:
                raise RefusedArchitecture(f"{where} is {name!r}")
        if not isinstance(value, str) or value not in allowed:
            raise RefusedArchitecture(f"{where} is {str(value)[:100]!r}")
        return RENAMED.get(value, value)

    def _plain(self, value: Any, where: str, depth: int = 0) -> Any:
        """A copy of numbers, texts, lists and dictionaries that Keras takes for nothing else."""
        self._values += 1
        if self._values > LARGEST_COUNT_OF_VALUES or depth > 2 * DEEPEST_NESTING:
            raise RefusedArchitecture(f"{where} has settings without end")
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            if len(value) > _LONGEST_TEXT or value == _COMPOSITE:
                raise RefusedArchitecture(f"{where} has a setting of {len(value)} characters that is no plain text")
            return value
        if isinstance(value, list):
            return [self._plain(entry, where, depth + 1) for entry in value]
        forbidden = [key for key in _FORBIDDEN_KEYS if key in value]
        if forbidden:
            raise RefusedArchitecture(f"{where} has an object ({str(value.get(forbidden[0]))[:100]}) in its settings")
        return {key: self._plain(entry, where, depth + 1) for key, entry in value.items()}


def _class_and_config(entry: Any, where: str) -> tuple[str, dict[str, Any]]:
    """The name by which Keras registers the class, and its settings."""
    if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
        raise RefusedArchitecture(f"{where} has no class")
    name, registered = entry["class_name"], entry.get("registered_name")
    if isinstance(registered, str) and registered.endswith(f">{name}"):
        name = registered
    config = entry.get("config")
    if name == "function":
        return name, {}
    if isinstance(config, list) and name == "Sequential":  # as Keras wrote it long ago
        config = {"name": "sequential", "layers": config}
    if not isinstance(config, dict):
        raise RefusedArchitecture(f"{where} has no settings")
    return name[:100], config
