"""The parts of evaluate's page that a trial asks for: changes, totals by reader, and strata."""
