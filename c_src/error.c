/*
 * error.c
 *		Where PostgreSQL's errors and Rust's meet: the PG_TRY around every
 *		callback, and the way back from a Rust error to ereport. The others
 *		are around whole queries (verify.c) and plannings (planner.c), above any
 *		Rust.
 *
 * Callers: host.c runs every callback in the guard; parallel.c, worker.c and
 * the planner raise.
 *
 * Invariant: no longjmp crosses a Rust frame.
 *
 *		C  pgjs_turn ............ rethrows what is parked, no Rust below it
 *		R    session_turn ....... sees PGJS_IO_ERROR, unwinds by Result
 *		C      callback
 *		C        pgjs_guard ..... sigsetjmp: the ERROR stops here, is parked
 *		C          heapgetpage .. ereport(ERROR)
 *
 * An ERROR may have left a buffer's content lock behind (a visibility check
 * can raise under it). Nobody but the transaction's abort can let go of it, so
 * after a parked ERROR nothing more is called: every callback refuses, the turn
 * ends, and the rethrow leads to the abort. The guard puts
 * InterruptHoldoffCount back to what it was; LWLockReleaseAll copes with that.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "pg_joinscan.h"

int			pgjs_rust_depth = 0;

/* Stands for an ERROR that there was no memory to copy. */
static ErrorData pgjs_no_memory;

/*
 * Copy the ERROR being handled to `parked`. The copy needs memory and can
 * raise in turn, with Rust frames between here and the next handler: hence a
 * handler of its own.
 */
static void
park_error(PgjsParked *parked)
{
	PG_TRY();
	{
		MemoryContextSwitchTo(parked->cxt);
		parked->error = CopyErrorData();
	}
	PG_CATCH();
	{
		parked->error = &pgjs_no_memory;
	}
	PG_END_TRY();
	FlushErrorState();
}

/*
 * Interrupts are held, so that CHECK_FOR_INTERRUPTS deep in PostgreSQL neither
 * raises a cancel here nor ends the process over a live runtime; pgjs_turn
 * serves them when the turn is over.
 */
PgjsIo
pgjs_guard(PgjsParked *parked, PgjsGuarded body, void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	uint32		holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	int			depth = pgjs_rust_depth;
	PgjsIo		io;

	if (parked->error != NULL)
		return PGJS_IO_ERROR;

	HOLD_INTERRUPTS();
	pgjs_rust_depth++;
	PG_TRY();
	{
		io = body(arg);
	}
	PG_CATCH();
	{
		park_error(parked);
		io = PGJS_IO_ERROR;
	}
	PG_END_TRY();

	/* Plainly set back: an ERROR has zeroed both counts on its way. */
	pgjs_rust_depth = depth;
	InterruptHoldoffCount = holdoff;
	QueryCancelHoldoffCount = cancel_holdoff;
	CurrentResourceOwner = owner;
	MemoryContextSwitchTo(cxt);
	return io;
}

/*
 * The parked ErrorData carries the context lines of where it was raised:
 * ReThrowError adds none.
 */
void
pgjs_rethrow(PgjsParked *parked)
{
	if (parked->error == NULL)
		elog(ERROR, "an error was reported as parked, but none is");
	if (parked->error == &pgjs_no_memory)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	ReThrowError(parked->error);
}

/* The code of a SQLSTATE text; one that is none, or means success, becomes XX000. */
static int
sqlstate_code(const char *state)
{
	int			i;

	for (i = 0; i < 5; i++)
	{
		if (!((state[i] >= '0' && state[i] <= '9') ||
			  (state[i] >= 'A' && state[i] <= 'Z')))
			return ERRCODE_INTERNAL_ERROR;
	}
	if (state[5] != '\0' || (state[0] == '0' && state[1] == '0'))
		return ERRCODE_INTERNAL_ERROR;
	return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

/*
 * The parked ERROR goes first, without a look at the interrupts: a content
 * lock may still be held. With an error of Rust's own nothing is held, and an
 * interrupt may be its very cause (a cancel, or a worker's error on its way
 * through the error queue).
 */
void
pgjs_raise(PgjsParked *parked, const PgjsError *error)
{
	if (parked->error != NULL || error->sqlstate[0] == '\0')
		pgjs_rethrow(parked);

	CHECK_FOR_INTERRUPTS();

	ereport(ERROR,
			(errcode(sqlstate_code(error->sqlstate)),
			 errmsg_internal("%s", error->message ? error->message : "unknown error"),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0,
			 error->context ? errcontext_msg("%s", error->context) : 0));
}
