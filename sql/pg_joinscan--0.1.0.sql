\echo Use "CREATE EXTENSION pg_joinscan" to load this file. \quit

-- The library does its work through planner hooks; CREATE EXTENSION loads it into this session, so that joins use it
-- from here on.
LOAD 'MODULE_PATHNAME';

GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;

-- Runs a query without JoinScan and with it, in one snapshot, and tells what differs:
--
--   what         off                       on
--   equal        3 rows                    3 rows              or "different"; for an error: SQLSTATE: message
--   columns      names and types           names and types     if they differ
--   row missing  a row that only off gave                      at most 5
--   row extra                              one only on gave    at most 5
--   JoinScan                               "whole join tree", "part of the joins", "not in the plan" or
--                                          "no join in the plan"; with nodes, runs, workers launched
--   declined                               why JoinScan stayed out of a part, one row for each reason
--
-- The first row is always the verdict. Rows are compared as texts, whatever their order. Two errors are equal if their
-- SQLSTATE is. What differs from one execution to the next by itself, as random() does, is for the caller to leave out.
-- With force, JoinScan is taken wherever it is possible (joinscan.min_cost = 0).
--
-- It runs with the caller's rights, and reads only: so everybody may call it.
CREATE FUNCTION @extschema@.verify(query text, force boolean DEFAULT true)
RETURNS TABLE (what text, "off" text, "on" text)
LANGUAGE c STRICT VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 5
AS 'MODULE_PATHNAME', 'pgjs_verify';

COMMENT ON FUNCTION @extschema@.verify(text, boolean) IS
'runs a query without JoinScan and with it, in one snapshot, and tells what differs; volatile results (random()) are the caller''s matter';
