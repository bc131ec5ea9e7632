"""What a process has of the way from ``collect()`` to Blob Storage, from its first collector to its end."""
