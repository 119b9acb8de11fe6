"""What a training run shows and writes while it goes: progress, metrics, curves, health."""
