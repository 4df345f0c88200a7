-- A database as the first migration left it; never changed again.
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
CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at REAL);
INSERT INTO "migrations" VALUES('m001_cooldowns_state_flags',1795000000.0);
CREATE TABLE "state" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
COMMIT;
