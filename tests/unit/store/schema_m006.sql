-- A database as the sixth migration left it; never changed again.
BEGIN TRANSACTION;
CREATE TABLE "account_flags" (
   "name" TEXT,
   "flag" TEXT,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL,
   PRIMARY KEY ("name", "flag")
);
INSERT INTO "account_flags" VALUES('anthropic/old','paused','true',1000.0);
CREATE TABLE "bindings" (
   "seq" INTEGER PRIMARY KEY,
   "key" TEXT NOT NULL,
   "account" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "bindings" VALUES(1,'fingerprint-of-a-session','anthropic/old',1000.0);
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
CREATE TABLE "limit_windows" (
   "account" TEXT,
   "name" TEXT,
   "seen_at" REAL NOT NULL,
   "used_percent" REAL,
   "remaining" REAL,
   "allowed" REAL,
   "reset_at" REAL,
   "status" TEXT NOT NULL,
   "minutes" INTEGER,
   PRIMARY KEY ("account", "name")
);
INSERT INTO "limit_windows" VALUES('anthropic/old','5h',32503680000.0,50.0,NULL,NULL,NULL,'',300);
CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at REAL);
INSERT INTO "migrations" VALUES('m001_cooldowns_state_flags',1795000000.0);
INSERT INTO "migrations" VALUES('m002_traces_events',1795000000.0);
INSERT INTO "migrations" VALUES('m003_usage_windows',1795000000.0);
INSERT INTO "migrations" VALUES('m004_owners',1795000000.0);
INSERT INTO "migrations" VALUES('m005_bindings',1795000000.0);
INSERT INTO "migrations" VALUES('m006_settings',1795000000.0);
CREATE TABLE "owners" (
   "seq" INTEGER PRIMARY KEY,
   "key" TEXT NOT NULL,
   "account" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "owners" VALUES(1,'fingerprint-of-a-response','anthropic/old',1000.0);
CREATE TABLE "settings" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "settings" VALUES('balancing','false',1000.0);
CREATE TABLE "state" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "state" VALUES('owners-secret','{"hex": "0000000000000000000000000000000000000000000000000000000000000000"}',1000.0);
CREATE TABLE "traces" (
   "seq" INTEGER PRIMARY KEY,
   "request_id" TEXT,
   "at" REAL,
   "record" TEXT NOT NULL
);
INSERT INTO "traces" VALUES(1,'aaaabbbbcccc',1000.0,'{"id": "aaaabbbbcccc"}');
CREATE TABLE "usage" (
   "day" TEXT,
   "account" TEXT,
   "model" TEXT,
   "answers" INTEGER NOT NULL,
   "unmetered" INTEGER NOT NULL,
   "input" INTEGER NOT NULL,
   "output" INTEGER NOT NULL,
   "cache_read" INTEGER NOT NULL,
   "cache_write" INTEGER NOT NULL,
   "reasoning" INTEGER NOT NULL,
   PRIMARY KEY ("day", "account", "model")
);
INSERT INTO "usage" VALUES('2999-01-01','anthropic/old','claude-x',3,0,10,20,0,0,0);
CREATE UNIQUE INDEX "idx_traces_request_id"
    ON "traces" ("request_id");
CREATE UNIQUE INDEX "idx_owners_key"
    ON "owners" ("key");
CREATE UNIQUE INDEX "idx_bindings_key"
    ON "bindings" ("key");
COMMIT;
