-- The catalog of one collection: documents and chunks. The full-text index is in full_text.sql.
-- Chroma stores the vector of each chunk under chunks.chunk_id.
-- Upgrades from earlier formats also run this script, so it uses IF NOT EXISTS.

CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS roots (
    path TEXT PRIMARY KEY
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS documents (
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
    language   TEXT NOT NULL DEFAULT '',
    date       TEXT NOT NULL DEFAULT '',  -- of the front matter
    tags       TEXT  -- a JSON list; NULL if an earlier version stored the document
);
CREATE INDEX IF NOT EXISTS documents_in_language ON documents (language);

CREATE TABLE IF NOT EXISTS chunks (
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
    checksum    INTEGER NOT NULL  -- of all displayed columns: SQLite does not detect a changed letter
);
CREATE INDEX IF NOT EXISTS chunks_of_document ON chunks (document_id, ordinal);

-- One bit per dimension and token, for late interaction. In a separate table, because few of them are read.
CREATE TABLE IF NOT EXISTS token_states (
    id    INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    signs BLOB NOT NULL
);

-- Checksums for data that SQLite and Chroma do not check. Chunks that an earlier version wrote have none.
CREATE TABLE IF NOT EXISTS checksums (
    id           INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector       BLOB,    -- the fingerprint of its vector: see vector_fingerprints.py
    token_states INTEGER  -- CRC-32
);

-- Pending vectors, which may be in Chroma without a chunk: being written, or about to be deleted.
CREATE TABLE IF NOT EXISTS vectors_in_doubt (
    chunk_id TEXT PRIMARY KEY
) WITHOUT ROWID;
