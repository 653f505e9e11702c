-- Which operator: the name of the server secret.
ALTER TABLE audit_log ADD COLUMN actor_name TEXT;
