CREATE TABLE codes (
    app_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    purpose TEXT NOT NULL,
    subject BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    consumed_at TIMESTAMP,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX codes_subject ON codes (app_id, subject);
