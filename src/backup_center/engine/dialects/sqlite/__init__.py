"""SQLite files through Python's own driver."""
