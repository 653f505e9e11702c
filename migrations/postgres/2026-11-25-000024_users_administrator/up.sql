-- Whether a user administers the application: tokens with more rights are made for them.
ALTER TABLE users ADD COLUMN administrator BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ALTER COLUMN administrator DROP DEFAULT;
