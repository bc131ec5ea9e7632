"""What a person sees of a process: counters, statistics, metrics, and lines in the log."""
