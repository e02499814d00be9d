"""Every decision of a sweep, read from the record and written to it before it is acted on. No Ray."""
