/*
 * planner.h
 *		From relations to paths, and from a path to the plan node:
 *		planner -> upper, unique -> tree -> skew, key, leaf -> cost, clause -> planning; plan.
 */
#ifndef PGJS_PLANNER_H
#define PGJS_PLANNER_H

#include "pg_joinscan.h"

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

/* ---- planning.c: what is remembered for the length of one planning ---- */
typedef struct PgjsPlanning
{
	struct PgjsPlanning *next;	/* a planning that this one is nested in, or a dead one not yet freed */
	const PlannerGlobal *glob;	/* which planning */
	MemoryContext cxt;			/* of `glob` and of all here */
	MemoryContextCallback callback;
	List	   *reasons;		/* decline.c: of char *, said already */
	struct HTAB *clauses;		/* clause.c: answers, or NULL before the first */
	struct PgjsClause *clause;	/* clause.c: the one asked about last, or NULL */
	List	   *comparisons;	/* clause.c: of PgjsClause, of columns, no two of them alike */
	struct HTAB *computed_keys; /* key.c: answers, likewise */
	struct HTAB *equalities;	/* skew.c: answers, likewise */
	List	   *foreign;		/* leaf.c: of ForeignInfo */
	List	   *levels;			/* planner.c: of Level */
} PgjsPlanning;

extern PgjsPlanning *pgjs_planning(const PlannerInfo *root);

/* ---- param.c: Params ---- */

/* What Params mean for an expression at planning. */
typedef struct PgjsParams
{
	bool		typed;			/* all have a form in the plan, whatever their value */
	bool		volatile_initplan;	/* one must not be evaluated before the first row */
	bool		lazy_initplan;	/* one may never be evaluated, depending on the rows */
} PgjsParams;

extern PgjsParams pgjs_look_at_params(const PlannerInfo *root, Node *expr);
/* A copy of `clause` with every Param a Const: of its value in `econtext`, or a NULL of its type without one. */
extern Node *pgjs_bind_params(Node *clause, ExprContext *econtext);
/*
 * The same of each of `clauses`; but where a row may do without the value of an
 * InitPlan that has not been run, all such Params of the clause stay.
 */
extern List *pgjs_bind_lazily(List *clauses, ExprContext *econtext);
extern bool pgjs_contain_params(Node *clause);

/* ---- clause.c: what the plan can evaluate ---- */

/* How a clause can be part of a plan, from the best. */
typedef enum PgjsRung
{
	PGJS_RUNG_NATIVE,			/* vectorised, in Rust, whatever the values of its Params */
	PGJS_RUNG_POSTGRES,			/* by PostgreSQL's evaluator, in any participant */
	PGJS_RUNG_ABOVE,			/* above the whole plan alone: subqueries, volatile functions */
	PGJS_RUNG_NONE				/* not at all */
} PgjsRung;

/* NULL when the plan can carry this Var or PlaceHolderVar, else the reason. */
extern const char *pgjs_column_refusal(Node *column);
/* The best rung of a clause, and the reason why it is no better. Cached for the length of a planning. */
extern PgjsRung pgjs_clause_rung(PlannerInfo *root, RestrictInfo *rinfo, const char **reason);
/* The same of an expression whose value becomes a column; not cached. */
extern PgjsRung pgjs_expr_rung(PlannerInfo *root, Node *expr, const char **reason);
/* Can evaluating a clause for a row too many do no harm? */
extern bool pgjs_clause_is_harmless(PlannerInfo *root, RestrictInfo *rinfo);
/* May workers evaluate it? */
extern bool pgjs_clause_is_parallel_safe(PlannerInfo *root, RestrictInfo *rinfo);
/* NULL when rows can be hashed by this equality, else the reason. */
extern const char *pgjs_key_refusal(PlannerInfo *root, RestrictInfo *rinfo);
/* The same of a bare clause; not cached. */
extern const char *pgjs_key_clause_refusal(PlannerInfo *root, Node *clause);
/* Is this a native expression that raises no error, whatever the row? Not cached. */
extern bool pgjs_value_is_harmless(PlannerInfo *root, Node *expr);

/* NULL when the plan can group by this e = e, sort by this e < e or e > e, compute this Aggref; else the reason. */
extern const char *pgjs_group_refusal(PlannerInfo *root, Node *key);
extern const char *pgjs_order_refusal(PlannerInfo *root, Node *key);
extern const char *pgjs_aggregate_refusal(PlannerInfo *root, Aggref *aggregate);
/* NULL when the plan can compute this value, else the reason. */
extern const char *pgjs_value_refusal(PlannerInfo *root, Node *expr);

/*
 * The bare clauses of some RestrictInfos in PostgreSQL's order of evaluation; adds what they cost a row, each on its
 * rung, to *per_tuple if that is given.
 */
extern List *pgjs_order_clauses(PlannerInfo *root, List *rinfos, Cost *per_tuple);

/* The Vars and PlaceHolderVars that expressions mention. */
extern List *pgjs_columns_of(List *exprs);

/* ---- trees of joins ---- */

/* What a shuffle does with keys that very many rows have. Index 0 is the build side, 1 the probe side. */
typedef struct PgjsSkew
{
	uint32		stays;			/* PGJS_STAYS_* */
	List	   *values;			/* Consts: of each common key one for each of the join's keys, as that side has them */
	double		kept[2];		/* share of the side's rows that stay where they are */
	double		copied[2];		/* that go to all participants */
	double		largest[2];		/* that have the most common key of those that go by their hash; 0: no matter */
} PgjsSkew;

typedef struct PgjsCost
{
	Cost		startup;		/* before the first row: the builds */
	Cost		run;
	Cost		decoding;		/* of run: spared where a runtime filter drops the row */
} PgjsCost;

/*
 * One node of a join tree while PostgreSQL still searches. Points at no path
 * and at no RelOptInfo: add_path and GEQO free those. Never changed once its
 * relation has it, so trees share their subtrees.
 */
typedef struct PgjsTree
{
	/* What the search reads of every pair: one cache line. */
	uint32		kind;			/* PGJS_TREE_* */
	bool		is_costed;		/* JOIN: costs `cost` with `costed_workers`, so that joins above need not ask again */
	int			costed_workers;
	int			workers;		/* what its largest table is worth */
	PgjsCost	cost;
	Cardinality rows;			/* output, over all participants, before the deferred clauses */
	int			width;			/* bytes an output row */
	int			nleaves;		/* JOIN: LEAFs below */
	List	   *deferred;		/* bare clauses for PostgreSQL to evaluate above the whole plan; its inputs' included */

	Index		relid;			/* SCAN, LEAF: range table index */
	List	   *parts;			/* SCAN: those of the tables that are read for a partitioned or inherited one */
	const RelOptInfo *lookups;	/* SCAN: the table, where keys may be looked up in its indexes, or NULL */
	Cost		least_lookup;	/* SCAN: of a key, at least */
	uint32		join_type;		/* JOIN: PGJS_JOIN_* */
	struct PgjsTree *build;		/* JOIN: the side that is hashed, or kept */
	struct PgjsTree *probe;		/* JOIN: the other; AGGREGATE, SORT, WINDOW, FILTER: the input */
	Relids		build_relids;	/* JOIN: of the build side's tables; not a copy */
	uint32		build_exchange; /* JOIN: PGJS_EXCHANGE_*; NONE in a serial tree */
	PgjsSkew	skew;			/* JOIN: of a shuffle */
	uint32		probe_exchange; /* JOIN; AGGREGATE: between its phases; SORT: before the last; others: before it */
	List	   *keys;			/* JOIN: bare clauses that are hashed, none: a nested loop; AGGREGATE: e = e for each
								 * expression e of GROUP BY; SORT: e < e or e > e of each of ORDER BY;
								 * WINDOW: e = e of each of PARTITION BY */
	List	   *conditions;		/* JOIN: bare clauses that must hold for two rows to match, in order of evaluation;
								 * WINDOW: e < e or e > e of each of its ORDER BY; FILTER: for the leader */
	List	   *values;			/* AGGREGATE: of GROUP BY; a key may be a column that the input computes */
	List	   *aggregates;		/* AGGREGATE: Aggrefs; PostgreSQL's come last */
	int			nforeign;		/* AGGREGATE: the aggregates that PostgreSQL computes */
	List	   *calls;			/* AGGREGATE: the same, over columns that the input computes for them */
	Cardinality groups;			/* AGGREGATE: before its filters */
	Cardinality most_groups;	/* AGGREGATE: that memory must do for */
	double		distinct_bytes; /* AGGREGATE: what is kept of rows for its aggregates with DISTINCT, in all */
	int			nsets;			/* AGGREGATE: grouping sets; 0: one, of all keys */
	uint64	   *sets;			/* of each, which keys it has, from the lowest bit */
	List	   *groupings;		/* AGGREGATE: GroupingFuncs, which tell the sets apart */
	List	   *functions;		/* WINDOW: of PgjsWindow */
	uint64		nulls_first;	/* SORT, WINDOW: a bit for each key of the order, from the lowest */
	uint64		limit;			/* SORT: so many rows suffice; 0: all */
	uint32		cut_keys;		/* SORT: as PgjsTreeNode's */
	List	   *filters;		/* bare clauses on its rows, in order of evaluation */
	List	   *results;		/* PlaceHolderVars that are computed of its rows, also for keys above */
	double		kept;			/* share of rows that the deferred clauses are expected to keep */
	double		asked;			/* rows that they are evaluated on, as PostgreSQL's own joins reckon it */
	Cost		startup_cost;	/* LEAF: PostgreSQL's plan, in the leader; FILTER: of its subqueries */
	Cost		page_cost;		/* SCAN: reading the table; LEAF: the rest of PostgreSQL's plan */
	Cost		row_cost;		/* SCAN: decoding and filtering it; JOIN: conditions and filters, in one process */
} PgjsTree;

/* A window function of a tree. */
typedef struct PgjsWindow
{
	WindowFunc *function;		/* the column that it is above the node */
	PgjsWindowFunction form;	/* without the place of its expressions */
	List	   *exprs;			/* what it is computed from, one at least */
} PgjsWindow;

/* What JoinScan knows of a relation, in its fdw_private and its memory context. */
typedef struct PgjsRelInfo
{
	uint32		magic;			/* PGJS_RELINFO_MAGIC: fdw_private is not ours alone to use */
	const char *refusal;		/* of a join: why no pair can make a tree, or NULL */
	bool		offered;		/* a path was given to add_path */
	List	   *pairs;			/* of a join: PgjsPairs whose trees are not joined yet */
	const void *outer;			/* of a join: the pair asked about last, for comparison alone */
	const void *inner;
	double		matched;		/* of a join: rows that deferred clauses are asked about at most */
	PgjsTree   *serial;			/* the cheapest tree for the leader alone, or NULL */
	PgjsTree   *parallel;		/* the cheapest for several participants, or NULL */
	Cost		serial_total;	/* of a join: what the two trees cost up to their root */
	Cost		parallel_total;
	Cost		postgres_total; /* of all tables and what stands on them: of PostgreSQL's plan; else HUGE_VAL */
	Path	   *fallback;		/* PostgreSQL's cheapest seen, a copy; or NULL */
	struct PgjsRelInfo *unique; /* the same with unique rows for its semi-join: made when first asked for */
	RelOptInfo *input;			/* of what stands on the joins: on what, until its trees are made; then NULL */
	UpperRelationKind kind;		/* likewise: which stage it is */
	RelOptInfo *scanned;		/* likewise: the relation of all tables */
	List	   *pathkeys;		/* likewise: in which order its rows come */
	char	   *reason;			/* why there is no tree; kept when somebody wants it */
} PgjsRelInfo;

#define PGJS_RELINFO_MAGIC	0x504A5331

/* The path; nothing copies it, so it may embed CustomPath. */
typedef struct PgjsPath
{
	CustomPath	cpath;
	PgjsTree   *tree;
	PathTarget *target;			/* the relation's columns; rel->reltarget is later replaced at the top */
	int			workers;		/* to plan; 0: the leader alone */
	Path	   *fallback;		/* the last of custom_paths, or NULL: there is none */
	const char *no_fallback;	/* why, or NULL */
} PgjsPath;

extern void pgjs_planner_init(void);
/* Why nothing at this query level can be a JoinScan, or NULL. */
extern const char *pgjs_level_refusal(PlannerInfo *root);
/* Are there volatile functions anywhere in this query level, or in subplans? */
extern bool pgjs_level_is_volatile(PlannerInfo *root);
/* The tables of this level of which PostgreSQL's plan cannot stand in a plan twice. */
extern Relids pgjs_level_unrepeatable(PlannerInfo *root);
/* Is the statement a cursor's that PostgreSQL's Sort on top of this level would let go backward? */
extern bool pgjs_wants_sort(const PlannerInfo *root);
/* Can no plan of this level cost as much as joinscan.min_cost? */
extern bool pgjs_level_is_small(PlannerInfo *root);
/* The join of all tables of the level; NULL as long as there is none. */
extern RelOptInfo *pgjs_top_rel(PlannerInfo *root);
/*
 * The cheaper of the two trees of `info` as a path that gives `target`, or NULL
 * without a tree. Its parent is `scanned`, the relation of all its tables, also
 * where the path is one of a relation above: createplan.c takes from there
 * which tables a CustomScan scans, and an upper relation has none.
 */
extern PgjsPath *pgjs_cheapest_path(PlannerInfo *root, RelOptInfo *scanned, PathTarget *target,
									const PgjsRelInfo *info);
/* joinscan.min_cost = 0: `path` is all that `rel` has, or the path of a join's tree. Later pairs add others again. */
extern void pgjs_force_path(RelOptInfo *rel, PgjsRelInfo *info, PgjsPath *path);
extern void pgjs_force_join(PlannerInfo *root, RelOptInfo *joinrel);
/* Adds JoinScans to the paths of `top`, which joins all tables of the level, where PostgreSQL's plan is dear enough. */
extern void pgjs_offer_joins(PlannerInfo *root, RelOptInfo *top);
/* PostgreSQL's cheapest path of `rel` in the order `pathkeys`, of those that are known by now; or NULL. */
extern Path *pgjs_postgres_path(const RelOptInfo *rel, List *pathkeys);
/* What its cheapest plan of `rel` costs, `path` being that path in any order. */
extern Cost pgjs_postgres_total(const RelOptInfo *rel, const Path *path);
/* Is it a JoinScan, possibly below projections? */
extern bool pgjs_is_joinscan(const Path *path);
/* The info of a relation, or NULL when it has none (yet). */
extern PgjsRelInfo *pgjs_relinfo(PlannerInfo *root, const RelOptInfo *rel);
/* NULL when somebody else uses the place for it. */
extern PgjsRelInfo *pgjs_relinfo_make(PlannerInfo *root, RelOptInfo *rel);
/* The info of a base relation, made when first asked for; NULL for one that has no room for it. */
extern PgjsRelInfo *pgjs_leaf(PlannerInfo *root, RelOptInfo *rel);
/* The info of a relation, with all trees that it can have; NULL when it has none. */
extern PgjsRelInfo *pgjs_trees(PlannerInfo *root, RelOptInfo *rel);

/* One pair of relations, as the hook is given it. */
typedef struct PgjsPair
{
	PlannerInfo *root;
	RelOptInfo *joinrel;
	const PathTarget *target;	/* of joinrel, which has another one after the search if it joins all tables */
	RelOptInfo *outerrel;
	RelOptInfo *innerrel;
	JoinType	jointype;
	List	   *restrictlist;
	SpecialJoinInfo *sjinfo;
} PgjsPair;

/* ---- key.c: equalities that are keys in another form ---- */

/* An equality with a column for each operand that has no native form. */
typedef struct PgjsComputedKey
{
	Node	   *clause;			/* NULL: it cannot be a key */
	PlaceHolderVar *columns[2]; /* of its operands; NULL: nothing is to compute */
	Cost		costs[2];		/* of computing each, a row */
} PgjsComputedKey;

/* An equality that is no key as it stands, by columns that are computed of its sides; false where it cannot be one. */
extern bool pgjs_computed_key(PlannerInfo *root, RestrictInfo *rinfo, PgjsComputedKey *key);
/* The tables of `relids` whose columns are not to be had above a semi-join among them, and how to say so. */
#define PGJS_HIDDEN_REASON	"a column of a semi-join's inner side is wanted above it"
extern Relids pgjs_hidden_relids(const PlannerInfo *root, Relids relids);
/* What `rinfo` says, without the columns of `hidden`; NULL where nothing else says it. */
extern RestrictInfo *pgjs_visible_clause(const PgjsPair *pair, RestrictInfo *rinfo, Relids hidden);

/* ---- unique.c: semi-joins as inner joins ---- */
/*
 * The trees of `rel`, the inner side of the pair's semi-join, with unique rows; `side` itself where they are unique, or
 * NULL, with a reason kept in `info`, where they cannot be made so.
 */
extern const PgjsRelInfo *pgjs_unique(const PgjsPair *pair, RelOptInfo *rel, PgjsRelInfo *side, PgjsRelInfo *info);

/* ---- tree.c: the join of two trees ---- */
/* What a join of the pair's trees costs at least; infinity where they have none. */
extern Cost pgjs_least_cost(const PgjsPair *pair, const PgjsRelInfo *outer, const PgjsRelInfo *inner);
/* Joins the trees of the pair's relations, where that gives a first or a cheaper one. What it cannot do it declines. */
extern void pgjs_join_trees(const PgjsPair *pair, PgjsRelInfo *info, const PgjsRelInfo *left,
							const PgjsRelInfo *right);
/* `tree` as one that also computes `columns`, PlaceHolderVars, which cost `per_tuple` a row. */
extern PgjsTree *pgjs_with_columns(PgjsTree *tree, List *columns, Cost per_tuple);

/* ---- skew.c: common keys of a join ---- */
/*
 * The ways in which `join`, whose both sides are shuffled, can do with its
 * common keys: nothing first, then with keys set apart; returns how many. The
 * build side is of the tables `build`. Cached for the length of a planning.
 */
extern int pgjs_find_skews(PlannerInfo *root, const PgjsTree *join, Relids build, int workers, const PgjsSkew **skews);

/* ---- computed.c: what the input of a node above the joins computes for it ---- */
typedef struct PgjsComputed
{
	PlannerInfo *root;
	Relids		relids;			/* of the input */
	List	   *at_hand;		/* what the input has as columns of its own, whatever they are */
	List	   *columns;		/* PlaceHolderVars */
	Cost		cost;			/* of them, a row of the input */
} PgjsComputed;

/* The column that PostgreSQL's evaluator makes of `expr`; NULL, with the reason, where it cannot. */
extern Node *pgjs_compute_below(PgjsComputed *computed, Node *expr, const char **reason);
/*
 * A key as the plan can take it, by one of pgjs_group_refusal and
 * pgjs_order_refusal: of `expr`, or of a column that is computed of it. NULL,
 * with the reason, where neither is possible.
 */
extern Node *pgjs_find_key(PgjsComputed *computed, Oid operator, Node *expr,
						   const char *(*refusal) (PlannerInfo *, Node *), const char **reason);
/* An aggregate as the plan can compute it; NULL, with the reason, where it cannot. */
extern Aggref *pgjs_find_call(PgjsComputed *computed, Aggref *aggregate, const char **reason);

/* Why PostgreSQL's own aggregation cannot compute `aggregate` within the plan, or NULL. */
extern const char *pgjs_foreign_refusal(PlannerInfo *root, Relids relids, Aggref *aggregate);

/* ---- subquery.c: conditions with subqueries below what stands on the joins ---- */
/* `tree` with its deferred conditions as a node of its own, in the leader; as it is without such, or NULL. */
extern PgjsTree *pgjs_with_deferred(PlannerInfo *root, PgjsTree *tree, int workers);
/* A copy of conditions that are evaluated for `rows` rows, each subquery in the cheaper of its two ways. */
extern List *pgjs_choose_subplans(List *conditions, double rows);

/* ---- upper.c: what stands on a join or a table ---- */
/* The trees of a stage that has `input` and `kind`, whether they are offered or not. */
extern void pgjs_make_stage(PlannerInfo *root, RelOptInfo *output_rel, PgjsRelInfo *info);
extern void pgjs_upper(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel, RelOptInfo *output_rel);

/* `operator` between an expression and itself: how a key is told to Rust, and to EXPLAIN. */
extern Node *pgjs_make_key(Oid operator, Node *expr);

/* ---- windows.c: window functions ---- */
/*
 * A WINDOW for each window of the functions in `exprs`, to stand on one another; the last has the filters. NULL, or why
 * they cannot be computed. Figures and exchanges are the caller's.
 */
extern const char *pgjs_plan_windows(PgjsComputed *computed, List *exprs, List **nodes);

/* ---- parts.c: partitioned and inherited tables ---- */
typedef struct PgjsPruning PgjsPruning;

/* leaf.c: can a heap scan read table `relid` as the rows of `rel`? */
extern bool pgjs_can_read(RelOptInfo *rel, Oid relid);
/* The relids of the tables to be read for an inherited one; NIL where it is none, or not all can be read. */
extern List *pgjs_parts(PlannerInfo *root, RelOptInfo *rel);
/* What is needed to rule out parts when the plan runs, or NULL. Can be copied; goes into the plan. */
extern struct PartitionPruneInfo *pgjs_plan_pruning(PlannerInfo *root, Index relid, const List *parts);
/* ---- fallback.c: PostgreSQL's plan, for when memory runs out ---- */
/* A path with the same inputs; NULL for kinds that fallbacks are not made of, which are but few. */
extern Path *pgjs_copy_path(const Path *path);
/*
 * Keeps in `info` a copy of `path` of `rel`, PostgreSQL's or NULL, if it is cheaper than that it has and can give the
 * columns in `target`.
 */
extern void pgjs_note_fallback(PlannerInfo *root, RelOptInfo *rel, PgjsRelInfo *info, const PathTarget *target,
							   Path *path);
/* The same for ORDER BY, of the path of its input. */
extern void pgjs_note_sorted_fallback(PlannerInfo *root, RelOptInfo *input, const PgjsRelInfo *from, RelOptInfo *rel,
									  PgjsRelInfo *info);
/* Why PostgreSQL's plan of these tables cannot give the rows of `tree` after that was begun, or NULL. */
extern const char *pgjs_fallback_refusal(PlannerInfo *root, const RelOptInfo *scanned, const PgjsTree *tree);
/* The base relations of `root` whose plan cannot stand in a plan twice. In the current context. */
extern Relids pgjs_unrepeatable(PlannerInfo *root);
/* When all paths are made: no JoinScans below the fallbacks of those in `path`. */
extern void pgjs_settle_fallbacks(PlannerInfo *root, Path *path);
/* Makes `fallback` that of `path`, in place of another one. */
extern void pgjs_set_fallback(PgjsPath *path, Path *fallback);
/* Where `fallback` has each of `columns`, see PGJS_PRIVATE_FALLBACK; NIL when it does not have them all. */
extern List *pgjs_map_fallback(const Plan *fallback, const List *columns);
/* ---- plan.c: from the path to the plan node ---- */
/* Is it a column of the trees, whatever stands on them? */
static inline bool
pgjs_is_column(const Node *expr)
{
	return IsA(expr, Var) || IsA(expr, PlaceHolderVar);
}

extern const CustomPathMethods pgjs_path_methods;
extern Plan *pgjs_plan_path(PlannerInfo *root, RelOptInfo *rel, CustomPath *best_path, List *tlist, List *clauses,
							List *custom_plans);
/* The columns of a plan of `tree` that expressions above it mention. */
extern List *pgjs_plan_columns(const PgjsTree *tree, List *exprs);
/* The leaves' plans of a JoinScan: without the fallback. */
extern List *pgjs_leaf_plans(const CustomScan *cscan);
/* How many leaves a tree has. */
extern int pgjs_count_leaves(const PgjsTree *tree);
/* The relids of the leaves of a tree that PostgreSQL runs, in the order of their numbers. */
extern List *pgjs_leaf_relids(const PgjsTree *tree);
/*
 * What an AGGREGATE computes, each a column above it: its Aggrefs and GroupingFuncs, and the keys that are no columns;
 * a WINDOW: its WindowFuncs.
 */
extern List *pgjs_tree_computes(const PgjsTree *tree);
/* A copy of an expression of custom_exprs without the covers of columns, which mean nothing once setrefs is done. */
extern Node *pgjs_uncovered(Node *expr);
/* The expression of a key of an AGGREGATE or a SORT. */
extern Node *pgjs_key_expr(const Node *key);

/* What custom_private holds, in this order. */
typedef enum PgjsPrivate
{
	PGJS_PRIVATE_TREE,			/* bytea Const: PgjsTreeNode[] */
	PGJS_PRIVATE_COLUMNS,		/* bytea Const: PgjsColumnSource[], as custom_scan_tlist */
	PGJS_PRIVATE_SCANS,			/* of each scan an integer list: its table's ordinal within custom_relids, and of each
								 * table that is read for a partitioned or inherited one, how far it stands from that
								 * in the range table, which setrefs leaves as it is */
	PGJS_PRIVATE_WORKERS,		/* integer */
	PGJS_PRIVATE_NOUTPUT,		/* integer: columns that are emitted, the first ones */
	PGJS_PRIVATE_HASH_MEMORY,	/* integer: kB that a hash table may take */
	PGJS_PRIVATE_PRUNING,		/* of each scan, its PartitionPruneInfo or NULL */
	PGJS_PRIVATE_SETS,			/* bytea Const: uint64[], as PgjsPlanInput.sets */
	PGJS_PRIVATE_FUNCTIONS,		/* bytea Const: PgjsWindowFunction[] */
	PGJS_PRIVATE_LEFT,			/* Strings: what of the query level is PostgreSQL's, and why */
	PGJS_PRIVATE_FALLBACK		/* integer list, how many of the first columns the fallback gives, then the place of
								 * each in its target list; or a String: why there is none */
} PgjsPrivate;

/* Where a column comes from, see PgjsColumn. */
typedef struct PgjsColumnSource
{
	uint32		source;			/* PGJS_COLUMN_* */
	uint32		number;
	int32		attno;
} PgjsColumnSource;

/* ---- cost.c ---- */
/* `workers` 0 is the leader alone throughout. Of a scan of several tables: adds what the one of `rel` costs. */
extern void pgjs_cost_leaf(PgjsTree *leaf, const RelOptInfo *rel, Cost filters_per_tuple);
/* What a condition that costs PostgreSQL `per_tuple` costs a row on its rung. */
extern Cost pgjs_cost_clause(Cost per_tuple, PgjsRung rung);
/* Up to the root, in one process (workers 0) or several. */
extern PgjsCost pgjs_cost_tree(const PgjsTree *tree, int workers);
/* What a join of two trees that gives `rows` rows costs at least, whatever it is joined by. */
extern Cost pgjs_least_join_cost(const PgjsTree *outer, const PgjsTree *inner, double rows, int workers);
/* The root join alone, from its children's costs. */
extern PgjsCost pgjs_cost_join(const PgjsTree *join, PgjsCost build, PgjsCost probe, int workers);
/* A path of `rows` rows: with start, gather and emit. */
extern void pgjs_cost_path(const PgjsTree *tree, int workers, Cardinality rows, Cost *path_startup, Cost *path_total);
/* Passing `rows` rows of `width` bytes through queues, in one process. */
extern Cost pgjs_cost_exchange(double rows, int width);
/* Are the tree's rows in the leader, whoever else there is? */
extern bool pgjs_is_in_leader(const PgjsTree *tree);
/* Who takes part in a plan with so many workers. */
extern double pgjs_participants(int workers);
/* Bytes that the groups of `aggregate`, and its distinct values, take in one participant. */
extern double pgjs_group_bytes(const PgjsTree *aggregate, int workers);
/* Bytes that a hash table of `rows` rows takes, `width` bytes each. */
extern double pgjs_table_bytes(double rows, int width);
/* Bytes that the hash table of `join` takes in one participant. */
extern double pgjs_hash_bytes(const PgjsTree *join, int workers);

/* ---- decline.c: joinscan.explain_decline, and what joinscan.verify tells ---- */
typedef struct PgjsReasons
{
	MemoryContext cxt;
	List	   *texts;			/* of char *, each once */
} PgjsReasons;

/* Who collects the reasons of the plannings now, or NULL; verify.c sets it. */
extern PgjsReasons *pgjs_reasons;
extern bool pgjs_wants_reasons(void);
/* Keep the first reason why a relation has no tree; unless somebody wants it, nothing happens. */
extern void pgjs_decline(PgjsRelInfo *info, const char *format,...) pg_attribute_printf(2, 3);
/* What stands above a plan of `tree` and could have been part of it, each with the reason: a list of Strings. */
extern List *pgjs_left_above(const PlannerInfo *root, const PgjsTree *tree);
/* When the paths of a query level are complete: say why JoinScan stays out of it. */
extern void pgjs_report_declines(PlannerInfo *root);

#endif							/* PGJS_PLANNER_H */
