-- The range of an embedder's cosines, on which scores depend. Existing epochs have none until something is ingested.

ALTER TABLE STORE.epochs ADD COLUMN cosine_range text;
