"""What must never change: manifest, ledger, and the comparison with the disk."""
