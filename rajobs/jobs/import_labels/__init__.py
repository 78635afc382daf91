"""rajobs import: the scores of public data sets as label files for ingest; a file for each data set's layout."""
