-- Every tenth write fails, with a lost race and a deadlock by turns. The sequence survives the rollback.
CREATE SEQUENCE writes;

CREATE FUNCTION fail_every_tenth() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    number BIGINT := nextval('writes');
BEGIN
    IF number % 20 = 0 THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    ELSIF number % 10 = 0 THEN
        RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01';
    END IF;
    RETURN NULL;
END $$;

DO $$
DECLARE
    name TEXT;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\_\_%' LOOP
        EXECUTE format(
            'CREATE TRIGGER faults AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH STATEMENT EXECUTE FUNCTION fail_every_tenth()',
            name
        );
    END LOOP;
END $$;
