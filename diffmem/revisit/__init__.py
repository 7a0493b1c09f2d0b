"""A run looked at again: its model and data as they were, its training repeated in memory, its times refined."""
