DROP TABLE old_server_keys;
