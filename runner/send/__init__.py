"""Acting: one run that looks, sends and records."""
