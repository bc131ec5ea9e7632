"""Where a day's files lie, and how much of them is closed: names and records, without a request."""
