"""The preview: the page as text, and as a browser shows it."""
