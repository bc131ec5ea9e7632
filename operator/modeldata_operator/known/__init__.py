"""What is in the cluster, as the watches know it: questions without a request."""
