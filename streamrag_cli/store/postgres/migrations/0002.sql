-- The language of a document, and token states next to its vectors. Existing epochs have neither until their files are
-- ingested again.

DO $$
DECLARE
    epoch bigint;
BEGIN
    FOR epoch IN SELECT id FROM STORE.epochs LOOP
        EXECUTE format('ALTER TABLE STORE.documents_%s ADD COLUMN language text COLLATE "C" NOT NULL DEFAULT %L', epoch, '');
        EXECUTE format('CREATE INDEX documents_%s_in_language ON STORE.documents_%s (language)', epoch, epoch);
        EXECUTE format('ALTER TABLE STORE.vectors_%s ADD COLUMN token_states bytea', epoch);
        EXECUTE format('ALTER TABLE STORE.vectors_%s ALTER COLUMN token_states SET STORAGE EXTERNAL', epoch);
    END LOOP;
END $$;
