"""Times .tflite files where they will run: an Android phone (adb), a Raspberry Pi (ssh), or this machine."""
