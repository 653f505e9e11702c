CREATE TABLE server_keys (
    purpose TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    id BYTEA NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (purpose, generation)
);
