"""Report text, read and written."""
