"""See bssl_tf/cli/import_teacher.py, or --help."""

from bssl_tf.cli.import_teacher import run

if __name__ == "__main__":
    run()
