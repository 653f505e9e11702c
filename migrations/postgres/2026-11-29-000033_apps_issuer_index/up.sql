CREATE INDEX apps_by_issuer ON apps (issuer);
