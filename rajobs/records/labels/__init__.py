"""Labels that users bring: files read and checked, readers under pseudonyms, and newer readings merged into older."""
