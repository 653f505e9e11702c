-- What happened in an application on days that are over, counted from its log.
CREATE TABLE usage_days (
    app_id BYTEA NOT NULL,
    day BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (app_id, day, kind)
);
