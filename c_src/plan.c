/*
 * plan.c
 *		From the path to the plan node: a CustomScan that can be copied, and whose
 *		expressions setrefs sees.
 *
 *		custom_scan_tlist	the plan's columns: Vars and PlaceHolderVars; the first `noutput` are emitted
 *		custom_exprs		all clauses and computed expressions, in tree order; their Vars become INDEX_VARs
 *		custom_plans		the leaves that PostgreSQL runs, in the order of their numbers
 *		custom_private		see PgjsPrivate
 *		custom_relids		all tables
 *		qual				the deferred clauses
 */
#include "pg_joinscan.h"

#include "catalog/pg_type.h"
#include "executor/nodeHash.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

typedef struct Flatten
{
	List	   *custom_plans;	/* of the leaves */
	PgjsTreeNode *nodes;		/* filled from the start */
	int			count;
	List	   *exprs;			/* in the order of the nodes */
	List	   *scan_relids;	/* of each scan, leaf */
	List	   *leaf_relids;
	List	   *results;		/* PlaceHolderVars that are computed */
	List	   *result_exprs;	/* of each: where its value stands in exprs */
} Flatten;

/* The relids of leaves, children first, as flatten() numbers them. */
static List *
collect_leaves(const PgjsTree *tree, List *relids)
{
	check_stack_depth();
	if (tree->kind == PGJS_TREE_LEAF)
		return lappend_int(relids, tree->relid);
	if (tree->kind == PGJS_TREE_SCAN)
		return relids;
	relids = collect_leaves(tree->build, relids);
	return collect_leaves(tree->probe, relids);
}

List *
pgjs_leaf_relids(const PgjsTree *tree)
{
	return collect_leaves(tree, NIL);
}

/* Copies an expression; the PlaceHolderVars of `results` give way to what is in them. */
static Node *
inline_results(Node *node, void *results)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, PlaceHolderVar) && list_member(results, node))
		return inline_results((Node *) ((PlaceHolderVar *) node)->phexpr, results);
	return expression_tree_mutator(node, inline_results, results);
}

/*
 * Appends clauses of a node; where the first is. What the node computes is a
 * column above it alone: its own clauses compute it themselves, as in
 * PostgreSQL.
 */
static uint32
add_exprs(Flatten *flat, const PgjsTree *tree, List *exprs)
{
	uint32		first = list_length(flat->exprs);

	flat->exprs = list_concat(flat->exprs, (List *) inline_results((Node *) exprs, tree->results));
	return first;
}

/* Appends a tree, children first, and returns the place of its root. */
static uint32
flatten(Flatten *flat, const PgjsTree *tree)
{
	PgjsTreeNode node = {.kind = tree->kind};
	ListCell   *lc;

	check_stack_depth();
	switch (tree->kind)
	{
		case PGJS_TREE_SCAN:
			node.number = list_length(flat->scan_relids);
			flat->scan_relids = lappend_int(flat->scan_relids, tree->relid);
			break;
		case PGJS_TREE_LEAF:
			node.number = list_length(flat->leaf_relids);
			flat->leaf_relids = lappend_int(flat->leaf_relids, tree->relid);
			break;
		default:
			node.build = flatten(flat, tree->build);
			node.probe = flatten(flat, tree->probe);
			node.build_exchange = tree->build_exchange;
			node.probe_exchange = tree->probe_exchange;
			node.join_type = tree->join_type;
	}
	node.first_key = add_exprs(flat, tree, tree->keys);
	node.nkeys = list_length(tree->keys);
	node.first_condition = add_exprs(flat, tree, tree->conditions);
	node.nconditions = list_length(tree->conditions);
	node.first_filter = add_exprs(flat, tree, tree->filters);
	node.nfilters = list_length(tree->filters);
	node.first_result = list_length(flat->exprs);
	node.nresults = list_length(tree->results);
	foreach(lc, tree->results)
	{
		PlaceHolderVar *phv = lfirst_node(PlaceHolderVar, lc);

		flat->results = lappend(flat->results, phv);
		flat->result_exprs = lappend_int(flat->result_exprs, list_length(flat->exprs));
		flat->exprs = lappend(flat->exprs, inline_results((Node *) phv->phexpr, tree->results));
	}
	node.rows = tree->rows;
	node.width = tree->width;
	flat->nodes[flat->count] = node;
	return flat->count++;
}

/* The place of an expression in a list of TargetEntries from 1, or 0. */
static int
find_column(List *tlist, Node *column)
{
	ListCell   *lc;

	foreach(lc, tlist)
	{
		if (equal(lfirst_node(TargetEntry, lc)->expr, column))
			return foreach_current_index(lc) + 1;
	}
	return 0;
}

/* Where a Var or PlaceHolderVar comes from; false when nothing gives it. */
static bool
find_source(const Flatten *flat, Node *column, PgjsColumnSource *source)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (IsA(column, Var))
	{
		Var		   *var = (Var *) column;

		foreach(lc, flat->scan_relids)
		{
			if (lfirst_int(lc) == var->varno)
			{
				source->source = PGJS_COLUMN_SCAN;
				source->number = foreach_current_index(lc);
				source->attno = var->varattno;
				return true;
			}
		}
	}
	foreach(lc, flat->custom_plans)
	{
		int			position = find_column(((Plan *) lfirst(lc))->targetlist, column);

		if (position > 0)
		{
			source->source = PGJS_COLUMN_LEAF;
			source->number = foreach_current_index(lc);
			source->attno = position;
			return true;
		}
	}
	forboth(lc, flat->results, lc2, flat->result_exprs)
	{
		if (equal(lfirst(lc), column))
		{
			source->source = PGJS_COLUMN_COMPUTED;
			source->number = lfirst_int(lc2);
			source->attno = 0;
			return true;
		}
	}
	return false;
}

/* The columns of a plan under construction. */
typedef struct Columns
{
	List	   *tlist;
	PgjsColumnSource *sources;	/* room for as many as fit */
	int			room;
} Columns;

/*
 * Makes `column` a column of the plan, if it is none yet. A PlaceHolderVar that
 * nothing computes is evaluated where it is mentioned, as setrefs does it: from
 * the columns in it.
 */
static void
add_column(const Flatten *flat, Columns *columns, Node *column)
{
	PgjsColumnSource source;
	int			n = list_length(columns->tlist);

	check_stack_depth();
	if (find_column(columns->tlist, column) > 0)
		return;
	if (!find_source(flat, column, &source))
	{
		ListCell   *lc;

		if (!IsA(column, PlaceHolderVar))
			elog(ERROR, "JoinScan has no source for column %d of relation %d",
				 ((Var *) column)->varattno, ((Var *) column)->varno);
		foreach(lc, pgjs_columns_of(list_make1(((PlaceHolderVar *) column)->phexpr)))
			add_column(flat, columns, lfirst(lc));
		return;
	}
	if (n == columns->room)
	{
		columns->room = Max(columns->room * 2, 16);
		columns->sources = n == 0 ? palloc(columns->room * sizeof(PgjsColumnSource)) :
			repalloc(columns->sources, columns->room * sizeof(PgjsColumnSource));
	}
	columns->sources[n] = source;
	columns->tlist = lappend(columns->tlist, makeTargetEntry((Expr *) copyObject(column), n + 1, NULL, false));
}

static Const *
bytes_const(const void *bytes, Size size)
{
	bytea	   *value = palloc(VARHDRSZ + size);

	SET_VARSIZE(value, VARHDRSZ + size);
	if (size > 0)
		memcpy(VARDATA(value), bytes, size);
	return makeConst(BYTEAOID, -1, InvalidOid, -1, PointerGetDatum(value), false, false);
}

Plan *
pgjs_plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
			   List *custom_plans)
{
	PgjsPath   *path = (PgjsPath *) best_path;
	CustomScan *cscan = makeNode(CustomScan);
	Relids		relids = best_path->path.parent->relids;
	Flatten		flat = {.custom_plans = custom_plans};
	Columns		columns = {0};
	List	   *ordinals = NIL;
	int			noutput;
	ListCell   *lc;

	/* n tables are joined by n - 1 joins. */
	flat.nodes = palloc0((2 * bms_num_members(relids)) * sizeof(PgjsTreeNode));
	flatten(&flat, path->tree);

	foreach(lc, path->target->exprs)
		add_column(&flat, &columns, lfirst(lc));
	foreach(lc, pgjs_columns_of(path->tree->deferred))
		add_column(&flat, &columns, lfirst(lc));
	foreach(lc, pgjs_columns_of(tlist))
	{
		/* What stands in a PlaceHolderVar that is a column is not looked at. */
		if (IsA(lfirst(lc), PlaceHolderVar) || find_column(columns.tlist, lfirst(lc)) > 0)
			continue;
		elog(ERROR, "JoinScan does not emit column %d of relation %d",
			 lfirst_node(Var, lc)->varattno, lfirst_node(Var, lc)->varno);
	}
	noutput = list_length(columns.tlist);
	foreach(lc, pgjs_columns_of(flat.exprs))
		add_column(&flat, &columns, lfirst(lc));
	foreach(lc, flat.scan_relids)
		ordinals = lappend_int(ordinals, bms_member_index(relids, lfirst_int(lc)));

	cscan->scan.plan.targetlist = tlist;
	/* Pseudoconstant conditions are above, in a Result. */
	cscan->scan.plan.qual = copyObject(path->tree->deferred);
	cscan->scan.scanrelid = 0;
	cscan->flags = best_path->flags;
	cscan->custom_plans = custom_plans;
	cscan->custom_exprs = flat.exprs;
	cscan->custom_private = list_make5(bytes_const(flat.nodes, flat.count * sizeof(PgjsTreeNode)),
									   bytes_const(columns.sources,
												   list_length(columns.tlist) * sizeof(PgjsColumnSource)),
									   ordinals,
									   makeInteger(path->workers),
									   makeInteger(noutput));
	cscan->custom_private = lappend(cscan->custom_private,
									makeInteger((int) Min(get_hash_memory_limit() / 1024, INT_MAX)));
	cscan->custom_scan_tlist = columns.tlist;
	cscan->custom_relids = bms_copy(relids);
	cscan->methods = &pgjs_scan_methods;

	/* The executor enters parallel mode for this. */
	if (path->workers > 0)
		root->glob->parallelModeNeeded = true;
	return &cscan->scan.plan;
}
