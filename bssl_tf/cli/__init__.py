"""The commands, a file each: flags, one call, what is printed."""
