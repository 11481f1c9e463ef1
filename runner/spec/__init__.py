"""From files to checked message specs, each complaint with its line."""
