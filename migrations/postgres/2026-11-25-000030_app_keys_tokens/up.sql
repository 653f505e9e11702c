-- Until when tokens may live that a key signed while they lived longer than they do now.
ALTER TABLE app_keys ADD COLUMN tokens_until TIMESTAMP;
