"""How our threads share the process with the model's: they give way, and stand still while it forks."""
