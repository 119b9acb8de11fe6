"""See bssl_tf/cli/evaluate.py, or --help."""

from bssl_tf.cli.evaluate import run

if __name__ == "__main__":
    run()
