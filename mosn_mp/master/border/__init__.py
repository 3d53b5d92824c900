"""The border between the master and whoever has fewer rights: paths that others can change, plans, what root's file says."""
