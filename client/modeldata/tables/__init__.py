"""What a call's data is: its rows, the names of its columns, and its cells as JSON can hold them."""
