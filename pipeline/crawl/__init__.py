"""Where to go, and one exchange on the wire."""
