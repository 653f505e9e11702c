DROP INDEX codes_expiry;
ALTER TABLE codes DROP COLUMN source;
