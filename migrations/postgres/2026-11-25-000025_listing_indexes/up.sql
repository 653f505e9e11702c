-- Sign-up attempts and invitations have ids that say nothing of their age.
CREATE INDEX signups_newest ON signups (app_id, created_at, id);
CREATE INDEX invites_newest ON invites (app_id, created_at, id);
