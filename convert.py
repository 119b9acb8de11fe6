"""See bssl_tf/cli/convert.py, or --help."""

from bssl_tf.cli.convert import run

if __name__ == "__main__":
    run()
