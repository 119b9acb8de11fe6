"""The bytes of a .tflite file: read, checked, changed."""
