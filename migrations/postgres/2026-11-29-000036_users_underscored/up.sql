-- Finds who has a handle's underscored form, which some applications put into the claim sub.
CREATE INDEX users_by_underscored ON users (app_id, replace(handle, '@', '_'));
