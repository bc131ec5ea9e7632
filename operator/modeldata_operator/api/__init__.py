"""What the API server sends and what others see, as typed records: parsed once, at the border."""
