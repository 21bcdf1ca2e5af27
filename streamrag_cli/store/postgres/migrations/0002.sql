-- Token states beside the vectors, for late interaction. Epochs that are there have none until they are ingested again.

DO $$
DECLARE
    epoch bigint;
BEGIN
    FOR epoch IN SELECT id FROM epochs LOOP
        EXECUTE format('ALTER TABLE vectors_%s ADD COLUMN token_states bytea', epoch);
        EXECUTE format('ALTER TABLE vectors_%s ALTER COLUMN token_states SET STORAGE EXTERNAL', epoch);
    END LOOP;
END $$;
