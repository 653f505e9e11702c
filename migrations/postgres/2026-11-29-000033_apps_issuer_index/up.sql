ALTER TABLE apps ALTER COLUMN issuer TYPE TEXT COLLATE "C";
CREATE INDEX apps_by_issuer ON apps (issuer);
