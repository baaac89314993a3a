\echo Use "CREATE EXTENSION pg_joinscan" to load this file. \quit

-- The library does its work through planner hooks and needs no SQL object of its own yet.
-- CREATE EXTENSION loads it into this session, so that joins use it from here on.
LOAD 'MODULE_PATHNAME';
