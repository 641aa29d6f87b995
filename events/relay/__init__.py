"""From the log to JetStream, in order, once."""
