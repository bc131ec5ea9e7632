"""Rows as CSV text, with what must not be seen left out; and the file of the container that they belong to."""
