-- From when on a counter counts nothing and may go.
ALTER TABLE quotas ADD COLUMN expires_at TEXT NOT NULL DEFAULT '2026-01-01 00:00:00.0';
CREATE INDEX quotas_expiry ON quotas (expires_at);
