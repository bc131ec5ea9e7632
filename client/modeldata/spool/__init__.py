"""Rows on the pod's disk until they are in Blob Storage: how they lie there, who writes them, what waits."""
