"""From the bytes of a capture to its document: pure, repeatable, never in touch with the world."""
