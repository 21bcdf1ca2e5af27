-- Files that the last ingest of their root failed to read or skipped, as JSON. Existing epochs have none until the next
-- ingest. It is a column, because a new table would not have the owner and the grants of the others.

ALTER TABLE STORE.epochs ADD COLUMN unread_files text;
