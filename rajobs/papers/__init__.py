"""What the five papers print, and the audit of their numbers."""
