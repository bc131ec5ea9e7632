"""What a monitoring system sees of the operator."""
