"""Friendly interfaces: environments and agents by name, and the shapes of other libraries."""
