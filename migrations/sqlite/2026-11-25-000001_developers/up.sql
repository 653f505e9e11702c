CREATE TABLE developers (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- Owns the applications that the REST API and the command line make.
INSERT INTO developers (id, name, created_at) VALUES (x'00000000000000000000000000000000', 'built-in', '1970-01-01 00:00:00.0');
