"""What pretraining is worth to a detector, and to classifiers of scenes that show several things.

`python -m benchmarks.detection` runs it.
"""
