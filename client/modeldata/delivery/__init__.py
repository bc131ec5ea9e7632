"""Rows from the spool into Blob Storage, exactly once: one process of a pod does it for all, in the background."""
