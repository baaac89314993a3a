/*
 * extreme.c
 *		min and max that PostgreSQL computes, of all rows: one row of a batch
 *		stands for the others.
 *
 * Where every aggregate of accumulate.c's is such a one and there is one group,
 * only the least or greatest value of each batch goes to the store. Their
 * transition functions are called as nodeAgg.c would call them, and once more by
 * it, over what is left.
 */
#include "run.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* A column, perhaps under another name for its type; or NULL. */
static const Var *
column_of(const Aggref *aggregate)
{
	const Node *arg = (const Node *) linitial_node(TargetEntry, aggregate->args)->expr;

	while (IsA(arg, RelabelType))
		arg = (const Node *) ((const RelabelType *) arg)->arg;
	return IsA(arg, Var) ? (const Var *) arg : NULL;
}

bool
pgjs_is_extreme(const Aggref *aggregate)
{
	HeapTuple	tuple;
	Form_pg_aggregate form;
	bool		no_start;
	bool		result;

	if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggorder != NIL || aggregate->aggdistinct != NIL ||
		aggregate->aggfilter != NULL || list_length(aggregate->args) != 1 || column_of(aggregate) == NULL ||
		aggregate->aggfnoid >= FirstNormalObjectId)
		return false;
	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	(void) SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval, &no_start);
	/* A sort operator is what the catalog has for min and max. */
	result = OidIsValid(form->aggsortop) && !OidIsValid(form->aggfinalfn) && no_start &&
		!IsPolymorphicType(form->aggtranstype) && func_strict(form->aggtransfn) &&
		form->aggtranstype == exprType((Node *) linitial_node(TargetEntry, aggregate->args)->expr);
	ReleaseSysCache(tuple);
	return result;
}

void
pgjs_extreme_init(PgjsExtreme *extreme, const Aggref *aggregate)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate->aggfnoid);
	fmgr_info(((Form_pg_aggregate) GETSTRUCT(tuple))->aggtransfn, &extreme->transition);
	ReleaseSysCache(tuple);
	extreme->collation = aggregate->inputcollid;
	extreme->column = column_of(aggregate)->varattno;
}

bool
pgjs_extreme_of(PgjsExtreme *extreme, const uint64 *values, const bool *nulls, uint32 nrows, Datum *best)
{
	bool		found = false;

	for (uint32 row = 0; row < nrows; row++)
	{
		CHECK_FOR_INTERRUPTS();
		if (nulls[row])
			continue;
		*best = found ? FunctionCall2Coll(&extreme->transition, extreme->collation, *best, (Datum) values[row]) :
			(Datum) values[row];
		found = true;
	}
	return found;
}
