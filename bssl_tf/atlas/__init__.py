"""The photo atlas: look at what a network has learned, label a few photos by looking, and take a classifier home.

Logic without a web framework; `bssl_tf.atlas.web` serves it to a browser. The command is ``bssl-atlas``.
"""
