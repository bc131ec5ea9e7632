"""A directory of this machine in the place of a container: the same requests, answered in the same words."""
