"""Which method teaches a binary student best: the same student, images, views, epochs and optimizer for all.

python -m benchmarks.methods --help
"""
