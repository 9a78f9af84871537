"""What is to be fetched, by whom, and when: one SQLite database."""
