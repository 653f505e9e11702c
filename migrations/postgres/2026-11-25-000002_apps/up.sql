CREATE TABLE apps (
    id BYTEA NOT NULL PRIMARY KEY,
    developer_id BYTEA NOT NULL REFERENCES developers (id),
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    issuer TEXT NOT NULL,
    token_generation BIGINT NOT NULL,
    token_issued_at TIMESTAMP NOT NULL,
    revision BIGINT NOT NULL,
    settings JSON NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (developer_id, name)
);
