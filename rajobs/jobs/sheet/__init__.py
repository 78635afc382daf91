"""rajobs sheet: pages and spreadsheets in which readers score."""
