-- A journal as pmarep wrote it when its version was 5. Never changed: tests migrate it.
BEGIN TRANSACTION;
CREATE TABLE file (            -- files of slides that are being sent which the server has acknowledged
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    file TEXT NOT NULL,
    PRIMARY KEY (server, path, file),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
INSERT INTO "file" VALUES('https://tokyo.example/','Slides/in/half.svs','half/a.dat');
CREATE TABLE looked (          -- when the files of slides at sites were last compared with ours, by names and sizes
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    at REAL NOT NULL,          -- seconds since the epoch
    PRIMARY KEY (server, path),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
INSERT INTO "looked" VALUES('https://tokyo.example/','Slides/in/Größe 🔬.mrxs',7.5);
CREATE TABLE part (            -- parts and blocks of files that are not whole yet
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    file TEXT NOT NULL,
    number INTEGER NOT NULL,
    tag TEXT NOT NULL,         -- S3: the ETag
    PRIMARY KEY (server, path, file, number),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
INSERT INTO "part" VALUES('https://tokyo.example/','Slides/in/half.svs','half.svs',2,'etag-2');
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    sources TEXT NOT NULL,     -- JSON list
    summary TEXT               -- JSON of the summary event, NULL while running or killed
);
INSERT INTO "run" VALUES(1,1.5,'["/cases"]','{"exit_code": 0, "sites": {}}');
INSERT INTO "run" VALUES(2,9.5,'["/cases"]',NULL);
CREATE TABLE slide (
    server TEXT NOT NULL,      -- base URL
    path TEXT NOT NULL,        -- virtual path of the main file
    state TEXT NOT NULL,       -- sending | broken (sent, but not there as it should be) | sent
                               -- | unreadable (sent, all its bytes are there, and the server cannot open it)
                               -- | seen (there, not from us) | differs (there, not from us, other bytes)
    signature TEXT NOT NULL,   -- of the files that are (being) sent
    upload_id TEXT,            -- the server's id of an unfinished upload
    replaces INTEGER NOT NULL, -- 1: another slide is at the site and may be overwritten
    upload TEXT,               -- JSON: what the server answered to the announcement
    changed REAL NOT NULL,     -- seconds since the epoch
    source TEXT,               -- what the files that are being sent are (inodes, ctimes), NULL where nobody has looked
    stamp TEXT,                -- what the site said of the files that `state` is about: engine/stamp.py
    sizes TEXT,                -- JSON: bytes of each file of an unfinished upload, NULL from an older pmarep
    PRIMARY KEY (server, path)
) WITHOUT ROWID;
INSERT INTO "slide" VALUES('https://tokyo.example/','Slides/in/Größe 🔬.mrxs','sent','sig',NULL,0,NULL,1.5,NULL,NULL,NULL);
INSERT INTO "slide" VALUES('https://tokyo.example/','Slides/in/broken.svs','broken','torn',NULL,0,NULL,3.5,NULL,'stamp',NULL);
INSERT INTO "slide" VALUES('https://tokyo.example/','Slides/in/half.svs','sending','half','17',1,'{"Id": 17}',2.5,'inode-and-ctime',NULL,'{"half/a.dat": 5, "half.svs": 9}');
CREATE INDEX slide_upload ON slide (server, upload_id) WHERE upload_id IS NOT NULL;
COMMIT;
PRAGMA user_version = 5;
