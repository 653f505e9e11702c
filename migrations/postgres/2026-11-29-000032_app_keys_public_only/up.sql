-- A sealed empty value is 61 bytes: such a key has no private half, which is an empty column from now on.
UPDATE app_keys SET private = '' WHERE octet_length(private) = 61;
