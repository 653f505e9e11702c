-- Applications that are being brought in: nobody sees them until they are whole.
CREATE TABLE imports (
    app_id BLOB NOT NULL PRIMARY KEY REFERENCES apps (id),
    source BLOB NOT NULL,
    done INTEGER NOT NULL,
    began_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX imports_source ON imports (source);
