"""What stands on the branch that changes are merged into, and what of it has changed here."""
