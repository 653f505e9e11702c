ALTER TABLE operator_tokens DROP COLUMN last_used_at;
ALTER TABLE operator_tokens DROP COLUMN only_app;
ALTER TABLE operator_tokens DROP COLUMN scopes;
