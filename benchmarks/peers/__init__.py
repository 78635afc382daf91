"""What the product is measured against: scripts as one would write them by hand."""
