-- From when on a key serves what is new, and when it ends.
ALTER TABLE server_keys ADD COLUMN used_from TEXT;
ALTER TABLE server_keys ADD COLUMN ends_at TEXT;
