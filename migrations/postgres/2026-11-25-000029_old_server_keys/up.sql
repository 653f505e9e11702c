-- Public keys of servers that moved in: app tokens that ship in clients were signed with them.
CREATE TABLE old_server_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_pem TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
