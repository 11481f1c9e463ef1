"""message-runner from Python: what the command line is built on, and `import runner` gives.

Nothing here prints, asks, exits or handles signals.
"""
