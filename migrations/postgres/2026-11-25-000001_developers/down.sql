DROP TABLE developers;
