-- Whether a user has shown that the handle is a mailbox of theirs: the claim email_verified of their tokens.
ALTER TABLE users ADD COLUMN email_verified INTEGER NOT NULL DEFAULT 0;
