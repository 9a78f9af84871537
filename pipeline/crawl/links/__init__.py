"""Where a captured resource leads. Pure."""
