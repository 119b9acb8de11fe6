"""Every setting of a run: name, default, help and limits in one place; flags, checks and saved files come from them."""
