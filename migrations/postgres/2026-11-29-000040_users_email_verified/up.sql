-- Whether a user has shown that the handle is a mailbox of theirs: the claim email_verified of their tokens.
ALTER TABLE users ADD COLUMN email_verified BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ALTER COLUMN email_verified DROP DEFAULT;
