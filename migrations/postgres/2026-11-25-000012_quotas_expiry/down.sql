DROP INDEX quotas_expiry;
ALTER TABLE quotas DROP COLUMN expires_at;
