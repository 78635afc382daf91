"""The jobs, a verb a file. The only floor that imports ray."""
