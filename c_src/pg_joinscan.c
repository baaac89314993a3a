/*
 * pg_joinscan.c
 *		The module: settings and hooks.
 *
 * Loaded by shared_preload_libraries, session_preload_libraries, LOAD, or in
 * a parallel worker of a session that has it. Under shared_preload_libraries
 * the postmaster runs _PG_init and forks afterwards: it starts no thread and
 * no runtime, and calls nothing in Rust.
 */
#include "customscan.h"
#include "planner.h"

#include <float.h>

#include "fmgr.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

bool		pgjs_enabled = true;
double		pgjs_min_cost = 10000.0;
int			pgjs_queue_size = 256;
bool		pgjs_trace = false;
bool		pgjs_explain_decline = false;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomBoolVariable("joinscan.enabled",
							 "Lets the planner use JoinScan.",
							 NULL,
							 &pgjs_enabled,
							 true,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);

	DefineCustomRealVariable("joinscan.min_cost",
							 "Sets the cost of PostgreSQL's plan from which on JoinScan is considered.",
							 "Queries whose cheapest PostgreSQL plan costs less are left alone. "
							 "At 0 JoinScan is taken wherever it is possible.",
							 &pgjs_min_cost,
							 10000.0, 0.0, DBL_MAX,
							 PGC_USERSET, GUC_EXPLAIN,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("joinscan.queue_size",
							"Sets the size of the shared memory queue between two participants.",
							"There is one for each stream of a plan and each pair of participants.",
							&pgjs_queue_size,
							256, 16, 65536,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("joinscan.trace",
							 "Logs what passes between the participants of a JoinScan.",
							 NULL,
							 &pgjs_trace,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	DefineCustomBoolVariable("joinscan.explain_decline",
							 "Reports why JoinScan stays out of a query when it is planned.",
							 NULL,
							 &pgjs_explain_decline,
							 false,
							 PGC_USERSET, 0,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved("joinscan");

	RegisterCustomScanMethods(&pgjs_scan_methods);
	pgjs_planner_init();
}
