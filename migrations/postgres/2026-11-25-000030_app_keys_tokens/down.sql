ALTER TABLE app_keys DROP COLUMN tokens_until;
