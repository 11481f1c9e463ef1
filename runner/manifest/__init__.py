"""What was done: intents and outcomes, on disk and indexed."""
