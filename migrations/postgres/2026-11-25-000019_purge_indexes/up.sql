CREATE INDEX signups_age ON signups (updated_at);
CREATE INDEX invites_age ON invites (updated_at);
