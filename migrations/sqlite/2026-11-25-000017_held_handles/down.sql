DROP TABLE held_handles;
