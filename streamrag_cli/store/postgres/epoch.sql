-- The tables of one epoch of a collection; EPOCH stands for its number. The index on vectors is created when their
-- dimension is known.

CREATE TABLE STORE.documents_EPOCH (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path       text COLLATE "C" NOT NULL UNIQUE,
    source     text NOT NULL,
    size       bigint NOT NULL,
    mtime_ns   bigint NOT NULL,
    read_at_ns bigint NOT NULL,
    sha256     text NOT NULL,
    recipe     text NOT NULL,
    title      text NOT NULL,
    language   text COLLATE "C" NOT NULL DEFAULT '',
    date       text NOT NULL DEFAULT '',  -- of the front matter
    tags       text  -- a JSON list; NULL if an earlier version stored the document
);
CREATE INDEX documents_EPOCH_in_language ON STORE.documents_EPOCH (language);

CREATE TABLE STORE.chunks_EPOCH (
    chunk_id    text COLLATE "C" PRIMARY KEY,
    document_id bigint NOT NULL,
    ordinal     integer NOT NULL,
    headings    text NOT NULL,
    body        text NOT NULL,
    page        integer,
    line_start  integer,
    line_end    integer,
    char_start  bigint NOT NULL,
    char_end    bigint NOT NULL
);
CREATE INDEX chunks_EPOCH_of_document ON STORE.chunks_EPOCH (document_id, ordinal);

-- Stemmed words with their positions; `length` counts all of them. Separate from the text, so that ranking reads less.
CREATE TABLE STORE.words_EPOCH (
    chunk_id text COLLATE "C" PRIMARY KEY,
    length   integer NOT NULL,
    words    tsvector NOT NULL
);
CREATE INDEX words_EPOCH_words ON STORE.words_EPOCH USING gin (words);

-- The number of chunks with a word is a sum over rows: writers only add rows and never wait for each other.
CREATE TABLE STORE.word_counts_EPOCH (
    word   text COLLATE "C" NOT NULL,
    chunks integer NOT NULL
);
CREATE INDEX word_counts_EPOCH_word ON STORE.word_counts_EPOCH (word) INCLUDE (chunks);

CREATE TABLE STORE.vectors_EPOCH (
    chunk_id  text COLLATE "C" PRIMARY KEY,
    embedding EXTENSION.vector NOT NULL,
    token_states bytea STORAGE EXTERNAL  -- signs, which do not compress
);
