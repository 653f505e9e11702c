CREATE TABLE signups (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    id BYTEA NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    source BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    state TEXT NOT NULL,
    password BYTEA NOT NULL,
    locale TEXT NOT NULL,
    metadata JSON NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX signups_handle ON signups (app_id, handle_key);
