"""One block into one file, exactly once: the file that all pods share, or the pod's own."""
