-- What a big installation may do: spread the tables of applications over partitions by app_id. PostgreSQL
-- itself then refuses a key or unique index without app_id.
DO $$
DECLARE
    name TEXT;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'signups', 'codes', 'quotas', 'outbox', 'invites', 'email_templates',
        'audit_log', 'held_handles', 'recovery_codes', 'usage_days'] LOOP
        EXECUTE format('ALTER TABLE %I RENAME TO %I', name, name || '_whole');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY HASH (app_id)', name, name || '_whole');
        FOR part IN 0..3 LOOP
            EXECUTE format(
                'CREATE TABLE %I PARTITION OF %I FOR VALUES WITH (MODULUS 4, REMAINDER %s)',
                name || '_' || part, name, part
            );
        END LOOP;
        EXECUTE format('DROP TABLE %I', name || '_whole');
    END LOOP;
END $$;
