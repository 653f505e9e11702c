DROP INDEX users_by_underscored;
