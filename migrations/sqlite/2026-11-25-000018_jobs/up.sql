-- Periodic work: whoever moves due_at first does it.
CREATE TABLE jobs (
    name TEXT NOT NULL PRIMARY KEY,
    due_at TEXT NOT NULL,
    last_ok_at TEXT
) STRICT;
