"""Which URLs a collection takes in, and how politely they are asked for. Pure."""
