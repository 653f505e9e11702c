DROP INDEX apps_by_issuer;
