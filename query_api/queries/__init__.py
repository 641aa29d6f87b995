"""The questions that routes ask, one module each: SQL in, rows and the applied position out."""
