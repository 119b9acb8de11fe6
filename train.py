"""See bssl_tf/cli/train.py, or --help."""

from bssl_tf.cli.train import run

if __name__ == "__main__":
    run()
