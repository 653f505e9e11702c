ALTER TABLE server_keys DROP COLUMN ends_at;
ALTER TABLE server_keys DROP COLUMN used_from;
