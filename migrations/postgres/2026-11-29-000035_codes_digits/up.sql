-- How many digits a code has: one of eight is a hundred times as hard to guess as one of six.
ALTER TABLE codes ADD COLUMN digits BIGINT NOT NULL DEFAULT 6;
ALTER TABLE codes ALTER COLUMN digits DROP DEFAULT;
