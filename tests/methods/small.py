"""What the tests of methods share: a network quick to trace, two views, one step."""

import tensorflow as tf

WIDTH, SIZE = 6, 4


def dense_backbone(seed=0, size=SIZE):
    initializer = tf.keras.initializers.RandomNormal(stddev=0.1, seed=seed)
    pixels = tf.keras.Input((size, size, 1))
    flat = tf.keras.layers.Flatten()(pixels)
    features = tf.keras.layers.Dense(WIDTH, kernel_initializer=initializer)(flat)
    return tf.keras.Model(pixels, tf.keras.layers.BatchNormalization()(features))


def two_views(images=8, size=SIZE, seed=0):
    return tuple(tf.random.stateless_uniform((images, size, size, 1), (seed, view), maxval=255.0) for view in (0, 1))


def fit(model, *elements, learning_rate=0.01):
    """One step for each element."""
    if model.optimizer is None:
        model.compile(tf.keras.optimizers.SGD(learning_rate))
    for element in elements:
        history = model.fit(tf.data.Dataset.from_tensors(element), verbose=0).history
    return {name: values[-1] for name, values in history.items()}


def values_of(*networks):
    return [variable.numpy() for network in networks for variable in network.weights]
