"""What would be sent, given what was done: pure."""
