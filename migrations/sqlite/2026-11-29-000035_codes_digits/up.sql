-- How many digits a code has: one of eight is a hundred times as hard to guess as one of six.
ALTER TABLE codes ADD COLUMN digits INTEGER NOT NULL DEFAULT 6;
