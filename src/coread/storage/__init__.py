"""What is kept: the database, objects by content, the audit log."""
