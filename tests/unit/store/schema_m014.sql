-- A database as m014_origin_of_events left it; never changed again.
BEGIN TRANSACTION;
CREATE TABLE "account_flags" (
   "name" TEXT,
   "flag" TEXT,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL,
   PRIMARY KEY ("name", "flag")
);
INSERT INTO "account_flags" VALUES('anthropic/work','paused','true',1.79533505992604279521e+09);
CREATE TABLE "accounts" (
   "id" TEXT PRIMARY KEY,
   "provider" TEXT NOT NULL,
   "alias" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "generation" INTEGER NOT NULL,
   "expires_at" REAL,
   "sealed" BLOB,
   "settings" TEXT NOT NULL,
   "source" TEXT NOT NULL,
   "created_at" REAL NOT NULL,
   "updated_at" REAL NOT NULL,
   "last_used_at" REAL
);
INSERT INTO "accounts" VALUES('2a0664eb268b0f60','anthropic','work','oauth',1,32503680000.0,X'0190650A937EB0149A1996A218D3B3E9C3978C0059FE688ABDFBB5A0D2DF662257D6D68C8092C71D1A87B84A87C36A79AD23C9953C246A82C10F9E91FC23F3A3CC1D84833F6C07EB2E2843A29F41023545B9FD93E4BB368A4BAFF2E02D1FF00CC5B1BC0DD9ACAF342439DC4EA9A502184C6FABBCF545871093458B47CF04DB3383B9548B0C03E93DEAC7140A87C7DB263FA26ACD6B71E979D5B115178A7CB5FA9B5AB3D9555A7C77399B68FB73DC69CC9B220754F10C70D457E042276A536DA81C6245EEA9651B51DDC92B63C0B39A0E7AF52AD507D127D655D1311D9F61478995EDE8C7D959D3','{"priority": 2, "weight": 1, "models": ["claude-*"], "base_url": null, "concurrency_limit": 8, "policy_tags": []}','login',1.79533505991480731968e+09,1.79533505991480731968e+09,NULL);
INSERT INTO "accounts" VALUES('e48fac4d6c9f7b7e','anthropic','spare','api',1,NULL,X'0190650A937EB0149ACE265F2294ED639B953C720E0ECE3C0FD7496FFC8A9E48CDCD60F39B852F029BC781A3CB30E2978974461ED3E0FD053E54C434685C1C464963E291857E32FD8E5C6F29826FB1D2DF4EEF9F024CD14F3DC32ECD95FDF625910D01BA10BC67EBE4FD','{"priority": 0, "weight": 1, "models": ["*"], "base_url": null, "concurrency_limit": 8, "policy_tags": []}','add',1.79533505992337822916e+09,1.79533505992337822916e+09,NULL);
CREATE TABLE "asks" (
   "seq" INTEGER PRIMARY KEY,
   "at" REAL NOT NULL,
   "verb" TEXT NOT NULL,
   "args" TEXT NOT NULL,
   "answer" TEXT
);
INSERT INTO "asks" VALUES(1,1.79533505992551112176e+09,'clear','{"names": ["anthropic/work"], "model": null}','{"cleared": ["anthropic/work"]}');
CREATE TABLE "bindings" (
   "seq" INTEGER PRIMARY KEY,
   "key" TEXT NOT NULL,
   "account" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "bindings" VALUES(1,'fingerprint-of-a-session','anthropic/work',1000.0);
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
INSERT INTO "cooldowns" VALUES('anthropic/work','claude-x',2000.0,1000.0,1000.0,'rate_limit',2);
CREATE TABLE "dismissed" (
   "fingerprint" TEXT PRIMARY KEY,
   "provider" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "dismissed" VALUES('ea9ad35e6026a10532be3411b4ef156b','anthropic',1.79533505992444372178e+09);
CREATE TABLE "events" (
   "seq" INTEGER PRIMARY KEY,
   "at" REAL,
   "type" TEXT NOT NULL,
   "account" TEXT,
   "message" TEXT,
   "data" TEXT
, "origin" TEXT NOT NULL DEFAULT '');
INSERT INTO "events" VALUES(1,1.7953350599230268002e+09,'account_saved','anthropic/work','anthropic/work was saved (login)','{}','');
INSERT INTO "events" VALUES(2,1.7953350599237122535e+09,'account_saved','anthropic/spare','anthropic/spare was saved (add)','{}','');
INSERT INTO "events" VALUES(3,1.79533505992429065706e+09,'pending_connection_captured','','a credential for anthropic was seen: p-ffd3ded5','{}','');
INSERT INTO "events" VALUES(4,1.79533505992507958414e+09,'pending_connection_captured','','a credential for anthropic was seen: p-35d9a3ab','{}','');
INSERT INTO "events" VALUES(5,1000.0,'failover_performed','anthropic/work','told','{"previous":"anthropic/work"}','proxy');
CREATE TABLE "limit_windows" (
   "account" TEXT,
   "name" TEXT,
   "seen_at" REAL NOT NULL,
   "used_percent" REAL,
   "remaining" REAL,
   "allowed" REAL,
   "reset_at" REAL,
   "status" TEXT NOT NULL,
   "minutes" INTEGER, source TEXT NOT NULL DEFAULT 'header',
   PRIMARY KEY ("account", "name")
);
INSERT INTO "limit_windows" VALUES('anthropic/work','5h',32503680000.0,50.0,NULL,NULL,NULL,'',300,'poll');
CREATE TABLE migrations (name TEXT PRIMARY KEY, applied_at REAL);
INSERT INTO "migrations" VALUES('m001_cooldowns_state_flags',1.79533505990719103812e+09);
INSERT INTO "migrations" VALUES('m002_traces_events',1.79533505990855407714e+09);
INSERT INTO "migrations" VALUES('m003_usage_windows',1.7953350599091751575e+09);
INSERT INTO "migrations" VALUES('m004_owners',1.79533505990984439855e+09);
INSERT INTO "migrations" VALUES('m005_bindings',1.79533505991037082671e+09);
INSERT INTO "migrations" VALUES('m006_settings',1.79533505991082906723e+09);
INSERT INTO "migrations" VALUES('m007_accounts',1.79533505991156530382e+09);
INSERT INTO "migrations" VALUES('m013_asks',1.79533505991212224963e+09);
INSERT INTO "migrations" VALUES('m010_usage_snapshots',1.79533505991279339784e+09);
INSERT INTO "migrations" VALUES('m009_token_uses',1.79533505991326785091e+09);
INSERT INTO "migrations" VALUES('m014_origin_of_events',1.79533505991381073002e+09);
CREATE TABLE "owners" (
   "seq" INTEGER PRIMARY KEY,
   "key" TEXT NOT NULL,
   "account" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "owners" VALUES(1,'fingerprint-of-an-id','anthropic/work',1000.0);
CREATE TABLE "pending_accounts" (
   "id" TEXT PRIMARY KEY,
   "provider" TEXT NOT NULL,
   "kind" TEXT NOT NULL,
   "expires_at" REAL,
   "sealed" BLOB,
   "source" TEXT NOT NULL,
   "captured_at" REAL NOT NULL
);
INSERT INTO "pending_accounts" VALUES('p-35d9a3ab','anthropic','api',NULL,X'0190650A937EB0149A005B02289902112CC02AF497CB1F3AA33A90E2DAA6680F6682A24478A59D47A4114EE7ECFDCFFAE28BF317D3E248F079D10FA3EC2CF46D0A048E541953577E0784D1AA05D28D0295FBBDACDA1A2B5ECFC2B0AE1B3F313B3D447816307E2C45AFD07F','capture',1.7953350599248278141e+09);
CREATE TABLE "settings" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "settings" VALUES('active','{"anthropic": "anthropic/work"}',1.7953350599225838184e+09);
INSERT INTO "settings" VALUES('active_at','{"anthropic": 1795335059.9226}',1.79533505992261385912e+09);
INSERT INTO "settings" VALUES('balancing','false',1.79533505992605423931e+09);
CREATE TABLE "state" (
   "key" TEXT PRIMARY KEY,
   "value" TEXT NOT NULL,
   "at" REAL NOT NULL
);
INSERT INTO "state" VALUES('owners-secret','{"hex": "536074c560351f16da5b20b503546643f36e55175dbeff20c05b622a059d6d68"}',1.79533505990974211695e+09);
INSERT INTO "state" VALUES('proxy','{"pid":1}',1.7953350599260928631e+09);
CREATE TABLE "token_uses" (
   "token" TEXT PRIMARY KEY,
   "account" TEXT NOT NULL,
   "at" REAL NOT NULL,
   "tries" INTEGER NOT NULL,
   "dead" TEXT NOT NULL
);
INSERT INTO "token_uses" VALUES('074306c4369199e196299e6b772eedb1','anthropic/work',1000.0,1,'its refresh token was used before, by another program or an older copy of this login');
CREATE TABLE "traces" (
   "seq" INTEGER PRIMARY KEY,
   "request_id" TEXT,
   "at" REAL,
   "record" TEXT NOT NULL
);
INSERT INTO "traces" VALUES(1,'aaaabbbbcccc',1.79533505992609596253e+09,'{"account":"anthropic/work"}');
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
INSERT INTO "usage" VALUES('2999-01-01','anthropic/work','claude-x',1,0,10,20,0,0,0);
CREATE TABLE "usage_snapshots" (
   "account" TEXT PRIMARY KEY,
   "fetched_at" REAL NOT NULL,
   "confidence" TEXT NOT NULL,
   "plan" TEXT NOT NULL,
   "message" TEXT NOT NULL,
   "raw_redacted" TEXT NOT NULL,
   "error" TEXT NOT NULL,
   "amounts" TEXT NOT NULL,
   "next_at" REAL NOT NULL
);
INSERT INTO "usage_snapshots" VALUES('anthropic/work',32503680000.0,'exact','max','','','','[{"a": 1}]',32503680000.0);
CREATE UNIQUE INDEX "idx_traces_request_id"
    ON "traces" ("request_id");
CREATE UNIQUE INDEX "idx_owners_key"
    ON "owners" ("key");
CREATE UNIQUE INDEX "idx_bindings_key"
    ON "bindings" ("key");
CREATE UNIQUE INDEX "idx_accounts_provider_alias"
    ON "accounts" ("provider", "alias");
COMMIT;
