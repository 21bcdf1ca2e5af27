-- The words of the chunks. `separate` is a function of streamrag (words.py), which every connection registers:
-- Chinese, Japanese, Korean and Thai are split by it before the tokenizer sees them.

CREATE VIEW chunks_words AS SELECT id, separate(title) AS title, separate(body) AS body FROM chunks;

CREATE VIRTUAL TABLE chunks_fts USING fts5 (
    title, body, content = 'chunks_words', content_rowid = 'id', tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE chunks_terms USING fts5vocab ('chunks_fts', 'row');

CREATE TRIGGER chunks_inserted AFTER INSERT ON chunks BEGIN
    INSERT INTO chunks_fts (rowid, title, body) VALUES (new.id, separate(new.title), separate(new.body));
END;
CREATE TRIGGER chunks_deleted AFTER DELETE ON chunks BEGIN
    INSERT INTO chunks_fts (chunks_fts, rowid, title, body)
    VALUES ('delete', old.id, separate(old.title), separate(old.body));
END;
