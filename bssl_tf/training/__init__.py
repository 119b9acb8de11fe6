"""Training: phases, the loop, checkpoints, monitoring, several workers."""
