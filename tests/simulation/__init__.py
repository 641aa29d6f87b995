"""The platform in one process, in a world that one seed makes: its time, its network, its faults.

The services are the product's own, down to the loops that run them; what they reach for is not.
PostgreSQL is the log, tables and read models in memory, NATS a small server of its own
(`nats_server`), time jumps from one timer to the next. Everything that may go wrong between two
awaits goes wrong when the seed says so, and goes wrong again whenever the seed is given again.
"""
