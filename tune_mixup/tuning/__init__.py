"""Everything that touches Ray: the trainable, the searcher, the scheduler and the sweep that joins them."""
