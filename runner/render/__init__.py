"""From specs to the messages that will be posted: templates, then house rules."""
