"""Stateless random views: pure functions of seed, step and view."""
