"""What a trace file holds, and how: written whole, read without trust."""
