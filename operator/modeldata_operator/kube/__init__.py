"""The way to the API server: requests, watches, the queue of what is dirty, Events."""
