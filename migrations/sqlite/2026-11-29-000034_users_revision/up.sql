-- Moves with every change of what a use case reads before it writes, so that no change is lost.
ALTER TABLE users ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
