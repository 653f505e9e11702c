-- What was done, by whom, from where, and what came of it. Handles are masked.
CREATE TABLE audit_log (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    user_id BLOB,
    handle TEXT,
    address TEXT,
    detail TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX audit_log_age ON audit_log (created_at);
