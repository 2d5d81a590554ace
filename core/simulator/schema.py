"""The tables of the simulator's file."""

__all__ = ["SCHEMA"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    api TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    tier TEXT NOT NULL,
    price INTEGER NOT NULL,
    form_price INTEGER NOT NULL,
    options TEXT NOT NULL,
    targets TEXT NOT NULL,
    asked TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    user_metadata TEXT,
    usage_tags TEXT NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    finished_at REAL,
    billed_at REAL,
    error_message TEXT,
    cached_from TEXT,
    pages INTEGER,
    failed_pages INTEGER,
    credits INTEGER,
    is_stuck INTEGER NOT NULL,
    deleted_at REAL,
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_by_cache ON jobs (sha256, cache_key);
CREATE INDEX IF NOT EXISTS jobs_by_lease ON jobs (status, lease_until);
CREATE TABLE IF NOT EXISTS results (job_id TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    entry INTEGER NOT NULL,
    target TEXT NOT NULL,
    event_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    answer TEXT NOT NULL DEFAULT '',
    owner TEXT NOT NULL,
    lease_until REAL NOT NULL,
    UNIQUE (job_id, event_type, entry)
);
CREATE INDEX IF NOT EXISTS deliveries_by_lease ON deliveries (status, lease_until);
CREATE TABLE IF NOT EXISTS files (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    purpose TEXT NOT NULL,
    external_file_id TEXT,
    created_at REAL NOT NULL,
    deleted_at REAL
);
CREATE TABLE IF NOT EXISTS hooks (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    entry TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    deleted_at REAL
);
"""
