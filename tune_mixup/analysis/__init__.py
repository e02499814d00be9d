"""What a finished record tells: ranking and export. Pandas only, no Ray, no training."""
