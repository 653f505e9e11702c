ALTER TABLE users DROP COLUMN administrator;
