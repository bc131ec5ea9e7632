"""The controller: a queue of dirty collections, and one reconcile that acts."""
