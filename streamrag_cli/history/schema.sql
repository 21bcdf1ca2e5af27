-- Terminals are as in terminal.py, times in ISO 8601 (UTC), `sources`, `cited` and `timings` in JSON.
-- AUTOINCREMENT: the number of a deleted turn must not be reused, because a process may still write to that turn.

CREATE TABLE threads (id TEXT PRIMARY KEY, terminal TEXT NOT NULL) STRICT;

CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    thread TEXT NOT NULL REFERENCES threads (id),
    n INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    question TEXT NOT NULL,
    extra_chars INTEGER NOT NULL,
    extra_sha256 TEXT NOT NULL,
    answer TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'interrupted',
    collection TEXT NOT NULL,
    store TEXT NOT NULL,
    model TEXT NOT NULL DEFAULT '',
    finish_reason TEXT NOT NULL DEFAULT '',
    sources TEXT NOT NULL DEFAULT '[]',
    cited TEXT NOT NULL DEFAULT '[]',
    timings TEXT NOT NULL DEFAULT '{}',
    UNIQUE (thread, n)
) STRICT;

CREATE INDEX turns_by_time ON turns (started_at);

CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- `rowid` is `turns.id`. The text is separated into words as in the store (stemming.py).
CREATE VIRTUAL TABLE turns_fts USING fts5 (question, answer, tokenize = 'porter unicode61');
