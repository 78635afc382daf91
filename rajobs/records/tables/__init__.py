"""The tables of the contract: their schemas, the check on writing and reading, and Parquet parts on a store."""
