"""Training one trial, from first batch to last report, without Ray."""
