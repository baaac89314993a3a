/*
 * pg_joinscan.h
 *		What all C files share. The others, each for a layer; dependencies point one way:
 *
 *		planner.h		paths and plans, and what they cost
 *		customscan.h	the executor node
 *		run.h			one run of a plan: queues, scans, calls
 */
#ifndef PG_JOINSCAN_H
#define PG_JOINSCAN_H

#include "postgres.h"

#include "pgjs_core.h"
#include "pgjs_host.h"

/* ---- pg_joinscan.c: settings ---- */
extern bool pgjs_enabled;			/* joinscan.enabled */
extern double pgjs_min_cost;		/* joinscan.min_cost */
extern int	pgjs_queue_size;		/* joinscan.queue_size, kB */
extern bool pgjs_trace;				/* joinscan.trace */
extern bool pgjs_explain_decline;	/* joinscan.explain_decline */

/* ---- error.c: the PG_TRY around callbacks; Rust errors to ereport ---- */

/*
 * The ERROR that a callback has parked. One per session (and one per planner
 * check): after it is set every callback answers PGJS_IO_ERROR.
 */
typedef struct PgjsParked
{
	ErrorData  *error;			/* NULL while nothing is parked */
	MemoryContext cxt;			/* where the copy lives */
} PgjsParked;

/*
 * Run `body(arg)` with interrupts held; an ERROR in it is copied to
 * `parked` and PGJS_IO_ERROR returned. Memory context, resource owner and
 * InterruptHoldoffCount are as before on return.
 */
typedef PgjsIo (*PgjsGuarded) (void *arg);
extern PgjsIo pgjs_guard(PgjsParked *parked, PgjsGuarded body, void *arg);

/* Rethrow a parked ERROR as it was. */
extern void pgjs_rethrow(PgjsParked *parked) pg_attribute_noreturn();

/* ereport an error of Rust's, or the parked one when its sqlstate is empty. */
extern void pgjs_raise(PgjsParked *parked, const PgjsError *error) pg_attribute_noreturn();

/*
 * Greater than zero while Rust frames may lie below the running C code: in a
 * callback, and in a turn. What runs at process exit then leaves Rust's
 * objects alone. Nothing but error.c and who calls Rust writes it.
 */
extern int	pgjs_rust_depth;

#endif							/* PG_JOINSCAN_H */
