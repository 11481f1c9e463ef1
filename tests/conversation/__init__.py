"""Rows, replies, folders, filters and the people who must be left alone: end to end."""
