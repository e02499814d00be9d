"""All of Ray: the connection, the trials that it runs, and how it is told what the search decides."""
