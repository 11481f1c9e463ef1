"""Messages to Tolokers as code: validated, rendered, planned, sent and recorded."""

__version__ = "0.1.0"
