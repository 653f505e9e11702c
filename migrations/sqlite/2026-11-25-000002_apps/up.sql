CREATE TABLE apps (
    id BLOB NOT NULL PRIMARY KEY,
    developer_id BLOB NOT NULL REFERENCES developers (id),
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    issuer TEXT NOT NULL,
    token_generation INTEGER NOT NULL,
    token_issued_at TEXT NOT NULL,
    revision INTEGER NOT NULL,
    settings TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (developer_id, name)
) STRICT;
