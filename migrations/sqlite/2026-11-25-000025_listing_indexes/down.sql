DROP INDEX invites_newest;
DROP INDEX signups_newest;
