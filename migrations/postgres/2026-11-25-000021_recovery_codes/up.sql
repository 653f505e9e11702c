CREATE TABLE recovery_codes (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    user_id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (app_id, user_id, digest)
);
