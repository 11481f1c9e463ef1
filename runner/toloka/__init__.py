"""Facts about Toloka and the wire: one call tried once, what its answers mean, its filters."""
