"""Statistics of counts and of rows by patient: pure functions of numbers and arrays."""
