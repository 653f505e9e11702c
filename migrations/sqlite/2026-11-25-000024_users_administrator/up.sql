-- Whether a user administers the application: tokens with more rights are made for them.
ALTER TABLE users ADD COLUMN administrator INTEGER NOT NULL DEFAULT 0;
