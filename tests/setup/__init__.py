"""What `init` writes, the GitHub action and the pre-commit hook, run as their users run them."""
