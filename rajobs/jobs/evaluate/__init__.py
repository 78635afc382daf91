"""rajobs evaluate: models judged on the rows that they did not learn from."""
