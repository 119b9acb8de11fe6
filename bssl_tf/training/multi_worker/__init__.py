"""One run on several devices or machines."""
