-- A database as the second migration left it; never changed again.
BEGIN TRANSACTION;
CREATE TABLE "account_flags" (
   "name" TEXT,
   "flag" TEXT,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL,
   PRIMARY KEY ("name", "flag")
);
INSERT INTO "account_flags" VALUES('anthropic/old','paused','true',1000.0);
CREATE TABLE "cooldowns" (
   "name" TEXT,
   "model" TEXT,
   "until" REAL NOT NULL,
   "observed_at" REAL NOT NULL,
   "duration" REAL NOT NULL,
   "reason" TEXT NOT NULL,
   "strikes" INTEGER NOT NULL,
   PRIMARY KEY ("name", "model")
);
INSERT INTO "cooldowns" VALUES('anthropic/old','claude-x',2000.0,1000.0,1000.0,'rate_limit',2);
CREATE TABLE "events" (
   "seq" INTEGER PRIMARY KEY,
   "at" REAL,
   "type" TEXT NOT NULL,
   "account" TEXT,
   "message" TEXT,
   "data" TEXT
);
INSERT INTO "events" VALUES(1,1000.0,'failover','anthropic/old','told','{}');
CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at REAL);
INSERT INTO "migrations" VALUES('m001_cooldowns_state_flags',1795000000.0);
INSERT INTO "migrations" VALUES('m002_traces_events',1795000000.0);
CREATE TABLE "state" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
CREATE TABLE "traces" (
   "seq" INTEGER PRIMARY KEY,
   "request_id" TEXT,
   "at" REAL,
   "record" TEXT NOT NULL
);
INSERT INTO "traces" VALUES(1,'aaaabbbbcccc',1000.0,'{"id": "aaaabbbbcccc"}');
CREATE UNIQUE INDEX "idx_traces_request_id"
    ON "traces" ("request_id");
COMMIT;
