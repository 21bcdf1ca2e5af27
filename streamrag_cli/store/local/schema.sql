-- The catalog of one collection: what was ingested, the chunks. Their full-text index is in full_text.sql.
-- Vectors live in Chroma under chunks.chunk_id.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE roots (
    path TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE documents (
    id         INTEGER PRIMARY KEY,
    path       TEXT NOT NULL UNIQUE,
    source     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    read_at_ns INTEGER NOT NULL,
    sha256     TEXT NOT NULL,
    recipe     TEXT NOT NULL,
    title      TEXT NOT NULL,
    checksum   INTEGER NOT NULL,  -- of path and source
    language   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX documents_in_language ON documents (language);

CREATE TABLE chunks (
    id          INTEGER PRIMARY KEY,
    chunk_id    TEXT NOT NULL UNIQUE,
    document_id INTEGER NOT NULL REFERENCES documents (id),
    ordinal     INTEGER NOT NULL,
    headings    TEXT NOT NULL,
    title       TEXT NOT NULL,
    body        TEXT NOT NULL,
    page        INTEGER,
    line_start  INTEGER,
    line_end    INTEGER,
    char_start  INTEGER NOT NULL,
    char_end    INTEGER NOT NULL,
    checksum    INTEGER NOT NULL  -- of all that is shown of it: SQLite does not notice a changed letter
);
CREATE INDEX chunks_of_document ON chunks (document_id, ordinal);

-- One bit for each dimension of the state of each token, for late interaction. Apart from the chunks, as few are read.
CREATE TABLE token_states (
    id    INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    signs BLOB NOT NULL
);

-- Vectors that may be in Chroma though no chunk has them: being written, or about to be deleted.
CREATE TABLE vectors_in_doubt (
    chunk_id TEXT PRIMARY KEY
) WITHOUT ROWID;
