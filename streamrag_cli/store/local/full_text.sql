-- The full-text index of the chunks. `separate` is a function of streamrag (stemming.py) that every connection registers:
-- before the tokenizer runs, it splits Chinese, Japanese, Korean and Thai and stems languages other than English.

CREATE VIEW chunks_words AS
SELECT chunks.id, separate(chunks.title, language) AS title, separate(body, language) AS body
FROM chunks JOIN documents ON documents.id = document_id;

CREATE VIRTUAL TABLE chunks_fts USING fts5 (
    title, body, content = 'chunks_words', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE chunks_terms USING fts5vocab ('chunks_fts', 'row');

CREATE TRIGGER chunks_inserted AFTER INSERT ON chunks BEGIN
    INSERT INTO chunks_fts (rowid, title, body)
    SELECT new.id, separate(new.title, language), separate(new.body, language)
    FROM documents WHERE id = new.document_id;
END;
CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
    INSERT INTO chunks_fts (chunks_fts, rowid, title, body)
    SELECT 'delete', old.id, separate(old.title, language), separate(old.body, language)
    FROM documents WHERE id = old.document_id;
END;
