"""The read models as tables: what queries may select from, and nothing else."""
