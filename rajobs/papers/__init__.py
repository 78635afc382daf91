"""What the five papers print, the audit of their numbers, and the runs that repeat them."""
