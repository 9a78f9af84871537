"""The imperative shell: one module a verb. Read these first."""
