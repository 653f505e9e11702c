-- What was done, by whom, from where, and what came of it. Handles are masked.
CREATE TABLE audit_log (
    app_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id BYTEA,
    handle TEXT,
    address TEXT,
    detail TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX audit_log_age ON audit_log (created_at);
