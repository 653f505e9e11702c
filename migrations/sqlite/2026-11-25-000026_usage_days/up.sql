-- What happened in an application on days that are over, counted from its log.
CREATE TABLE usage_days (
    app_id BLOB NOT NULL,
    day INTEGER NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (app_id, day, kind)
) STRICT;
