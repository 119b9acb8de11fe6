"""Keras models that others have saved: read as data, built from layers on a list, never run as a program."""
