"""The ground floor: tables, anatomy, pseudonyms, splits, metrics, the store, errors."""
