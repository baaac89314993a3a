/*
 * decline.c
 *		joinscan.explain_decline: why JoinScan stays out of a query.
 *
 * Reasons are kept where they are found, one for each relation, and said when
 * a query level's paths are complete: before that, a relation that one pair of
 * inputs could not make may still be made from another pair. Each reason is
 * said once per planning, however many levels and relations have it.
 *
 * Said to the client by a NOTICE, and to joinscan.verify by pgjs_reasons.
 */
#include "planner.h"

#include "lib/stringinfo.h"
#include "optimizer/pathnode.h"
#include "utils/memutils.h"

PgjsReasons *pgjs_reasons = NULL;

bool
pgjs_wants_reasons(void)
{
	return pgjs_explain_decline || pgjs_reasons != NULL;
}

void
pgjs_decline(PgjsRelInfo *info, const char *format,...)
{
	StringInfoData text;
	MemoryContext old;

	/* EXPLAIN VERBOSE says what was left of that which stands on the joins. */
	if ((!pgjs_wants_reasons() && info->scanned == NULL) || info->reason != NULL)
		return;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(info));
	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	info->reason = text.data;
	MemoryContextSwitchTo(old);
}

/* Each reason once, whichever planning of the query it came from. */
static void
collect(const char *reason)
{
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, pgjs_reasons->texts)
	{
		if (strcmp(lfirst(lc), reason) == 0)
			return;
	}
	old = MemoryContextSwitchTo(pgjs_reasons->cxt);
	pgjs_reasons->texts = lappend(pgjs_reasons->texts, pstrdup(reason));
	MemoryContextSwitchTo(old);
}

static void
say(PlannerInfo *root, Relids relids, const char *reason)
{
	PgjsPlanning *planning = pgjs_planning(root);
	MemoryContext old;
	StringInfoData tables;
	ListCell   *lc;
	int			relid = -1;

	foreach(lc, planning->reasons)
	{
		if (strcmp(lfirst(lc), reason) == 0)
			return;
	}
	old = MemoryContextSwitchTo(planning->cxt);
	planning->reasons = lappend(planning->reasons, pstrdup(reason));
	MemoryContextSwitchTo(old);

	if (pgjs_reasons != NULL)
		collect(reason);
	if (!pgjs_explain_decline)
		return;
	initStringInfo(&tables);
	while ((relid = bms_next_member(relids, relid)) >= 0)
	{
		RangeTblEntry *rte = relid < root->simple_rel_array_size ? root->simple_rte_array[relid] : NULL;

		if (rte == NULL || rte->rtekind == RTE_JOIN)
			continue;
		appendStringInfo(&tables, "%s%s", tables.len > 0 ? ", " : "", rte->eref->aliasname);
	}
	ereport(NOTICE,
			(errmsg("JoinScan declined: %s", reason),
			 errdetail("Tables: %s.", tables.data)));
	pfree(tables.data);
}

/* The whole query level can be a JoinScan: was it too cheap for that, or too dear? */
static void
report_cost(PlannerInfo *root, const RelOptInfo *top, const PgjsRelInfo *info)
{
	char	   *reason;

	if (!info->offered && info->postgres_total >= pgjs_min_cost)
		reason = pstrdup("the hash table fits into several processes only, and the tables are not worth workers");
	else if (!info->offered)
		reason = psprintf("the cost of PostgreSQL's plan, %.0f, is below joinscan.min_cost", info->postgres_total);
	else if (top->cheapest_total_path != NULL && !pgjs_is_joinscan(top->cheapest_total_path))
		reason = pstrdup("PostgreSQL's plan is estimated to be cheaper");
	else
		return;
	say(root, top->relids, reason);
}

static void
report_joins(PlannerInfo *root)
{
	ListCell   *lc;

	foreach(lc, root->join_rel_list)
	{
		RelOptInfo *rel = lfirst(lc);
		PgjsRelInfo *info = pgjs_relinfo(root, rel);

		if (info != NULL && info->serial == NULL && info->parallel == NULL && info->reason != NULL)
			say(root, rel->relids, info->reason);
	}
}

/* What can stand on the joins, in PostgreSQL's order. */
static const struct
{
	UpperRelationKind kind;
	const char *name;
}			stages[] = {
	{UPPERREL_GROUP_AGG, "grouping"},
	{UPPERREL_WINDOW, "window functions"},
	{UPPERREL_DISTINCT, "DISTINCT"},
	{UPPERREL_ORDERED, "ORDER BY"},
};

/* What is known of stage `i` of a query level that was looked at, or NULL. */
static PgjsRelInfo *
stage_info(const PlannerInfo *root, int i)
{
	ListCell   *lc;

	foreach(lc, root->upper_rels[stages[i].kind])
	{
		PgjsRelInfo *info = pgjs_relinfo((PlannerInfo *) root, lfirst(lc));

		if (info != NULL && info->scanned != NULL)
			return info;
	}
	return NULL;
}

/* Is it this node, or a copy of it that computes more columns? */
static bool
is_node_of(const PgjsTree *node, const PgjsTree *root)
{
	return root != NULL && node->kind == root->kind && node->probe == root->probe;
}

List *
pgjs_left_above(const PlannerInfo *root, const PgjsTree *tree)
{
	List	   *left = NIL;

	for (int i = 0; i < lengthof(stages); i++)
	{
		PgjsRelInfo *info = stage_info(root, i);
		bool		taken = false;

		if (info == NULL)
			continue;
		for (const PgjsTree *node = tree; node != NULL; node = node->probe)
			taken |= is_node_of(node, info->serial) || is_node_of(node, info->parallel);
		if (taken)
			continue;
		left = lappend(left, makeString(psprintf("%s: %s", stages[i].name, info->reason != NULL ? info->reason :
												 "PostgreSQL's plan is estimated to be cheaper")));
	}
	return left;
}

/* What stands on the joins and is PostgreSQL's, although what it stands on could be a JoinScan. */
static void
report_upper(PlannerInfo *root)
{
	for (int i = 0; i < lengthof(stages); i++)
	{
		PgjsRelInfo *info = stage_info(root, i);

		if (info != NULL && info->serial == NULL && info->parallel == NULL && info->reason != NULL)
			say(root, info->scanned->relids, psprintf("%s: %s", stages[i].name, info->reason));
	}
}

void
pgjs_report_declines(PlannerInfo *root)
{
	RelOptInfo *top;
	PgjsRelInfo *info;

	report_upper(root);
	if (bms_membership(root->all_baserels) != BMS_MULTIPLE)
		return;
	top = pgjs_top_rel(root);
	if (top == NULL)
		return;
	info = pgjs_relinfo(root, top);
	if (info != NULL && (info->serial != NULL || info->parallel != NULL))
	{
		report_cost(root, top, info);
		return;
	}

	/* PostgreSQL 15 and 16 ask no hook about a join with such a condition. */
	if (info == NULL && root->hasPseudoConstantQuals)
		say(root, top->relids, "a condition without table columns is not supported");
	for (int i = 1; i < root->simple_rel_array_size; i++)
	{
		RelOptInfo *rel = root->simple_rel_array[i];

		if (rel == NULL || rel->reloptkind != RELOPT_BASEREL)
			continue;
		info = pgjs_relinfo(root, rel);
		if (info != NULL && info->reason != NULL)
			say(root, rel->relids, info->reason);
	}
	report_joins(root);
}
