CREATE TABLE server_keys (
    purpose TEXT NOT NULL,
    generation INTEGER NOT NULL,
    id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (purpose, generation)
) STRICT;
