"""What somebody's own project may look like: parts of every kind, none of which the package has heard of."""
