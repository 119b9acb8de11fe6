"""Teachers that were trained elsewhere, from PyTorch checkpoints."""
