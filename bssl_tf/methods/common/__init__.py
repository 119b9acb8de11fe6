"""What methods are made of: their common form, replicas, momentum networks."""
