DROP INDEX invites_age;
DROP INDEX signups_age;
