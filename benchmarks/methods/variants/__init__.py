"""Ideas for BSSL that are tried before they may become part of it: ``--method=benchmarks.methods.variants.NAME``.

For one device. What won stands in `bssl_tf.methods.bssl`; what did not is in docs/results.md, with its numbers.
"""
