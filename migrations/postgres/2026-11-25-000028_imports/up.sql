-- Applications that are being brought in: nobody sees them until they are whole.
CREATE TABLE imports (
    app_id BYTEA NOT NULL PRIMARY KEY REFERENCES apps (id),
    source BYTEA NOT NULL,
    done BIGINT NOT NULL,
    began_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE INDEX imports_source ON imports (source);
