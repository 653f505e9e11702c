CREATE TABLE quotas (
    app_id BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject BYTEA NOT NULL,
    period BIGINT NOT NULL,
    used BIGINT NOT NULL,
    PRIMARY KEY (app_id, kind, subject, period)
);
