"""What runs: two processes under kopf, and the end of an installation."""
