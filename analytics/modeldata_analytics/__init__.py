"""Reads what was collected as one table, and closes its days."""
