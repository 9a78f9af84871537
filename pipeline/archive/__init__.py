"""WARC files: written, sealed into shape, and read strictly."""
