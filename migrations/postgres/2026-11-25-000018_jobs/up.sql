-- Periodic work: whoever moves due_at first does it.
CREATE TABLE jobs (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    due_at TIMESTAMP NOT NULL,
    last_ok_at TIMESTAMP
);
