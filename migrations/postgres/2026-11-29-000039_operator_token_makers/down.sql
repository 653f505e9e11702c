DROP INDEX operator_tokens_made_by;
ALTER TABLE operator_tokens DROP COLUMN made_by;
