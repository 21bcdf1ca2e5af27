-- The tables that all collections in a schema share. The tables of one collection belong to its epoch (epoch.sql): a
-- rebuild fills a new epoch and then changes one row of `collections`.

CREATE TABLE STORE.collections (
    name  text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL
);

CREATE TABLE STORE.epochs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection  text COLLATE "C" NOT NULL,
    embedding   text NOT NULL,
    dimension   integer,
    generation  bigint NOT NULL DEFAULT 0,
    documents   bigint NOT NULL DEFAULT 0,
    chunks      bigint NOT NULL DEFAULT 0,
    words       bigint NOT NULL DEFAULT 0,
    last_ingest timestamptz
);
CREATE INDEX epochs_of_collection ON STORE.epochs (collection);

CREATE TABLE STORE.roots (
    epoch bigint NOT NULL REFERENCES STORE.epochs ON DELETE CASCADE,
    path  text COLLATE "C" NOT NULL,
    PRIMARY KEY (epoch, path)
);
