"""Who stops trials early: one file per rule. They decide from what the record holds."""
