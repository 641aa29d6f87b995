"""Tools: each turns files into other files, and knows nothing of jobs, queues or databases."""
