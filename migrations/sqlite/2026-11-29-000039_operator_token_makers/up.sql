-- Which server secret made this one: it ends with it. None for those of the command line, and for older ones.
ALTER TABLE operator_tokens ADD COLUMN made_by BLOB;
CREATE INDEX operator_tokens_made_by ON operator_tokens (made_by);
