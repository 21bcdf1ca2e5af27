-- The date and the tags from a document's front matter. Tags are a JSON list, or NULL until the file is read again.

DO $$
DECLARE
    epoch bigint;
BEGIN
    FOR epoch IN SELECT id FROM STORE.epochs LOOP
        EXECUTE format('ALTER TABLE STORE.documents_%s ADD COLUMN date text NOT NULL DEFAULT %L, ADD COLUMN tags text', epoch, '');
    END LOOP;
END $$;
