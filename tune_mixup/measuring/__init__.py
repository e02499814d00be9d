"""What a machine can do: how fast a trial trains there and how many share a device. No Ray."""
