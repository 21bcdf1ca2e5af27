-- `terminal` is as in terminal.py, `started_at` ISO 8601 in UTC; `sources`, `cited` and `timings` are JSON.
-- AUTOINCREMENT: the number of a deleted turn is not reused, because a process may still write to that turn.

CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    thread TEXT NOT NULL,
    n INTEGER NOT NULL,
    terminal TEXT NOT NULL,
    started_at TEXT NOT NULL,
    is_indexed INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    collection TEXT NOT NULL,
    store TEXT NOT NULL,
    model TEXT NOT NULL,
    finish_reason TEXT NOT NULL DEFAULT '',
    question TEXT NOT NULL,
    extra_chars INTEGER NOT NULL,
    extra_sha256 TEXT NOT NULL,
    answer TEXT NOT NULL DEFAULT '',
    sources TEXT NOT NULL DEFAULT '[]',
    cited TEXT NOT NULL DEFAULT '[]',
    timings TEXT NOT NULL DEFAULT '{}',
    UNIQUE (thread, n)
);

CREATE INDEX turns_by_time ON turns (started_at);

CREATE INDEX turns_by_terminal ON turns (terminal);

CREATE INDEX turns_to_index ON turns (id) WHERE NOT is_indexed;

-- `rowid` is `turns.id`. The text is split into words as in the store (stemming.py).
CREATE VIRTUAL TABLE turns_fts USING fts5 (question, answer, tokenize = 'porter unicode61');

-- `noticed`: the user has seen that questions are logged. `pruned`: the date of the last check for old conversations.
-- `erasing`: deleted text may still be in the files.
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
