from dataclasses import replace

import pytest

from bssl_tf.config.flags import config_from_recipe
from bssl_tf.config.recipes import expand_recipes, recipe_names, recipe_path
from bssl_tf.config.validation import validate
from bssl_tf.errors import ConfigError


def test_a_recipe_becomes_a_flagfile_at_its_place():
    digits = f"--flagfile={recipe_path('digits')}"
    assert expand_recipes(["--seed=1", "--recipe=digits", "--epochs=2"]) == ["--seed=1", digits, "--epochs=2"]
    assert expand_recipes(["--recipe", "digits", "--epochs=2"]) == [digits, "--epochs=2"]
    assert expand_recipes(["--seed=1", "--", "--recipe=digits"]) == ["--seed=1", "--", "--recipe=digits"]


@pytest.mark.parametrize("arguments", [["--recipe=digit"], ["--recipe"], ["--recipe="], ["--recipe=../recipes/digits"]])
def test_an_unknown_recipe_is_answered_with_those_that_exist(arguments):
    with pytest.raises(ConfigError, match="digits, fashion_mnist.*--flagfile=PATH"):
        expand_recipes(arguments)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_valid(name):
    config = config_from_recipe(recipe_path(name))
    validate(replace(config, run=replace(config.run, workdir="run")))
    assert config.data.dataset
