"""What a network will be on the device, before it is trained or converted."""
