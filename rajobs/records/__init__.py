"""The ground floor: tables, anatomy, identity, splits, metrics, the store, errors."""
