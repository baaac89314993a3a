//! The words of the random language: functions and operators with their types, literals, keys of mixed types.

use super::ast::Ty;
use super::ast::Ty::*;

pub struct Form {
    pub text: &'static str,
    pub gives: Ty,
    pub args: &'static [Ty],
}

const fn form(text: &'static str, gives: Ty, args: &'static [Ty]) -> Form {
    Form { text, gives, args }
}

/// None of these raises, whatever the tables hold.
pub const VALUES: &[Form] = &[
    form("($0 / 7::int2)", Int2, &[Int2]),
    form("($0 % 7)", Int4, &[Int4]),
    form("($0 / 3)", Int4, &[Int4]),
    form("($0 & 255)", Int4, &[Int4]),
    form("(($0 & 255) + ($1 & 255))", Int4, &[Int4, Int4]),
    form("(($0 % 100) * ($1 % 100))", Int4, &[Int4, Int4]),
    form("($0::int4)", Int4, &[Int2]),
    form("length($0)", Int4, &[Text]),
    form("extract(day from $0)::int4", Int4, &[Date]),
    form("($0::int8 + $1::int8)", Int8, &[Int4, Int4]),
    form("($0::int8 * $1)", Int8, &[Int2, Int2]),
    form("($0 % 1000)", Int8, &[Int8]),
    form("($0::int8)", Int8, &[Int4]),
    form("($0 + $1)", Numeric, &[Numeric, Numeric]),
    form("($0 - $1)", Numeric, &[Numeric, Numeric]),
    form("($0 * 2.5)", Numeric, &[Numeric]),
    form("($0 / 3.0)", Numeric, &[Numeric]),
    form("(- $0)", Numeric, &[Numeric]),
    form("abs($0)", Numeric, &[Numeric]),
    form("round($0, 1)", Numeric, &[Numeric]),
    form("$0::numeric", Numeric, &[Int8]),
    form("$0::numeric", Numeric, &[Int4]),
    form("($0 * 0.5)::float8", Float8, &[Float8]),
    form("(- $0)", Float8, &[Float8]),
    form("abs($0)", Float8, &[Float8]),
    form("$0::float8", Float8, &[Int4]),
    form("$0::float8", Float8, &[Float4]),
    form("(- $0)", Float4, &[Float4]),
    form("upper($0)", Text, &[Text]),
    form("lower($0)", Text, &[Text]),
    form("($0 || $1)", Text, &[Text, Text]),
    form("substring($0, 1, 2)", Text, &[Text]),
    form("substring($0 from 2)", Text, &[Text]),
    form("md5($0)", Text, &[Text]),
    form("btrim($0)", Text, &[Text]),
    form("$0::text", Text, &[Int4]),
    form("$0::text", Text, &[Char]),
    form("$0::text", Text, &[Date]),
    form("$0::text", Text, &[Numeric]),
    form("$0::text", Text, &[Float8]),
    form("$0::text", Text, &[Mood]),
    form("$0::char(8)", Char, &[Text]),
    form("$0::varchar", Varchar, &[Text]),
    form("date_trunc('month', $0)", Timestamp, &[Timestamp]),
    form("least($0, timestamp '2100-01-01') - interval '1 day'", Timestamp, &[Timestamp]),
    form("date_trunc('day', $0)", Timestamptz, &[Timestamptz]),
    form("(case when $0 > date '1900-01-01' and $0 < date '2100-01-01' then $0 + 1 end)", Date, &[Date]),
    form("($0 - $0)", Interval, &[Interval]),
    form("($0 = $1)", Bool, &[Int4, Int4]),
    form("($0 < $1)", Bool, &[Text, Text]),
    form("(not $0)", Bool, &[Bool]),
    form("($0 || $1)", Jsonb, &[Jsonb, Jsonb]),
    form("($0 || $1)", Ints, &[Ints, Int4]),
    form("($0 || $1)", Bytea, &[Bytea, Bytea]),
];

/// These do, for some values.
pub const RISKY: &[Form] = &[
    form("($0 + $1)", Int4, &[Int4, Int4]),
    form("($0 * $1)", Int4, &[Int4, Int4]),
    form("($0 / $1)", Int4, &[Int4, Int4]),
    form("($0 % $1)", Int4, &[Int4, Int4]),
    form("(- $0)", Int4, &[Int4]),
    form("abs($0)", Int4, &[Int4]),
    form("$0::int4", Int4, &[Int8]),
    form("$0::int4", Int4, &[Numeric]),
    form("$0::int4", Int4, &[Text]),
    form("($0 - $1)", Int8, &[Int8, Int8]),
    form("($0 + $1)", Int2, &[Int2, Int2]),
    form("($0 / $1)", Numeric, &[Numeric, Numeric]),
    form("$0::numeric(6, 2)", Numeric, &[Numeric]),
    form("sqrt($0)", Numeric, &[Numeric]),
    form("($0 / $1)", Float8, &[Float8, Float8]),
    form("($0 * $1)", Float8, &[Float8, Float8]),
    form("$0::float4", Float4, &[Float8]),
    form("$0::date", Date, &[Timestamp]),
    form("($0 + 400)", Date, &[Date]),
    form("$0::date", Date, &[Text]),
    form("($0 + $1)", Timestamp, &[Timestamp, Interval]),
    form("($0 + 1)::posint", Domain, &[Int4]),
    form("$0::mood", Mood, &[Text]),
];

pub const TESTS: &[Form] = &[
    form("$0 like 'a%'", Bool, &[Text]),
    form("$0 like '%b_'", Bool, &[Text]),
    form("$0 not like '%a%'", Bool, &[Varchar]),
    form("$0 ilike '_'", Bool, &[Text]),
    form("$0 like '日%'", Bool, &[Text]),
    form("$0 ~ '^[a-c]'", Bool, &[Text]),
    form("$0 > $1", Bool, &[Numeric, Int4]),
    form("$0 < $1", Bool, &[Int8, Float8]),
    form("$0 = $1", Bool, &[Text, Char]),
    form("$0 >= $1", Bool, &[Timestamp, Date]),
    form("$0 < $1", Bool, &[Timestamptz, Timestamp]),
    form("$0 = any ($1)", Bool, &[Int4, Ints]),
    form("$0 @> $1", Bool, &[Ints, Ints]),
    form("$0 @> $1", Bool, &[Jsonb, Jsonb]),
    form("($0, $1) < ($2, $3)", Bool, &[Int4, Text, Int4, Text]),
    form("($0, $1) = ($2, $3)", Bool, &[Int4, Date, Int4, Date]),
    form("($0, $1) >= ($2, $3)", Bool, &[Numeric, Timestamp, Numeric, Timestamp]),
    form("row($0, $1) is not distinct from row($2, $3)", Bool, &[Int4, Text, Int4, Text]),
    form("row($0, $1, $2) is not null", Bool, &[Int4, Text, Float8]),
    form("($0, $1) in ((1, 'a'), ($2, ''))", Bool, &[Int4, Text, Int4]),
    form("$0 is not distinct from $1", Bool, &[Numeric, Numeric]),
    form("$0 is distinct from $1", Bool, &[Int4, Int8]),
    form("$0 is not distinct from $1", Bool, &[Text, Text]),
    form("length($0) > 1", Bool, &[Text]),
    form("extract(year from $0) = 2020", Bool, &[Timestamp]),
    form("$0 % 3 = 1", Bool, &[Int4]),
    form("$0 is true", Bool, &[Bool]),
    form("$0", Bool, &[Bool]),
];

/// The results depend on no order of the rows. Sums of floats would: `floor($0 * 4) / 4` of small ones, infinities and
/// NaN are left of f8, and the column q has nothing else.
pub const AGGREGATES: &[Form] = &[
    form("count(*)", Int8, &[]),
    form("count($0)", Int8, &[Text]),
    form("count($0)", Int8, &[Numeric]),
    form("count(distinct $0)", Int8, &[Int4]),
    form("count(distinct $0)", Int8, &[Numeric]),
    form("count(distinct $0)", Int8, &[Float8]),
    form("count(distinct $0)", Int8, &[Text]),
    form("count(distinct $0)", Int8, &[Char]),
    form("count(distinct $0)", Int8, &[Interval]),
    form("count(distinct ($0, $1))", Int8, &[Int4, Text]),
    form("sum($0)", Int8, &[Int4]),
    form("sum($0)", Int8, &[Int2]),
    form("sum($0)", Numeric, &[Int8]),
    form("sum($0)", Numeric, &[Numeric]),
    form("sum($0 * $1)", Numeric, &[Numeric, Numeric]),
    form("sum($0 * (1 - $1))", Numeric, &[Numeric, Numeric]),
    form("sum($0)", Interval, &[Interval]),
    form("sum(distinct $0)", Int8, &[Int4]),
    form("sum(distinct $0)", Numeric, &[Int8]),
    form(
        "sum(case when $0 between -1000 and 1000 then floor($0 * 4) / 4 when $0 = 'NaN' or abs($0) = 'Infinity' then $0 end)",
        Float8,
        &[Float8],
    ),
    form("sum(case when $0 > $1 then 1 else 0 end)", Int8, &[Int4, Int4]),
    form("avg($0)", Numeric, &[Int4]),
    form("avg($0)", Numeric, &[Int2]),
    form("avg($0)", Numeric, &[Int8]),
    form("avg($0)", Numeric, &[Numeric]),
    form("avg($0)", Interval, &[Interval]),
    form("avg(distinct $0)", Numeric, &[Int4]),
    form("min($0)", Int2, &[Int2]),
    form("min($0)", Int4, &[Int4]),
    form("max($0)", Int4, &[Int4]),
    form("min($0)", Int8, &[Int8]),
    form("max($0)", Int8, &[Int8]),
    form("min($0)", Numeric, &[Numeric]),
    form("max($0)", Numeric, &[Numeric]),
    form("min($0)", Float4, &[Float4]),
    form("max($0)", Float4, &[Float4]),
    form("min($0)", Float8, &[Float8]),
    form("max($0)", Float8, &[Float8]),
    form("min($0)", Text, &[Text]),
    form("max($0)", Text, &[Text]),
    form("max($0)", Text, &[Varchar]),
    form("min($0)", Char, &[Char]),
    form("min($0)", Date, &[Date]),
    form("max($0)", Date, &[Date]),
    form("min($0)", Timestamp, &[Timestamp]),
    form("max($0)", Timestamptz, &[Timestamptz]),
    form("max($0)", Interval, &[Interval]),
    form("min($0)", Time, &[Time]),
    form("max($0)", Mood, &[Mood]),
    form("max($0)", Ints, &[Ints]),
    form("bool_and($0)", Bool, &[Bool]),
    form("bool_or($0)", Bool, &[Bool]),
    form("every($0)", Bool, &[Bool]),
    form("bit_and($0)", Int4, &[Int4]),
    form("bit_or($0)", Int8, &[Int8]),
    form("bit_xor($0)", Int2, &[Int2]),
    form("string_agg($0, ',' order by $0)", Text, &[Text]),
    form("string_agg($0, ',' order by $1 desc nulls last, $0)", Text, &[Text, Int4]),
    form("string_agg(distinct $0, '/')", Text, &[Text]),
    form("array_agg($0 order by $0)", Ints, &[Int4]),
    form("array_agg(distinct $0)", Ints, &[Int4]),
    form("array_agg($0 order by $1 nulls first, $0 desc)::text", Text, &[Date, Int4]),
    form("jsonb_agg($0 order by $0)::text", Text, &[Int8]),
    form("percentile_disc(0.3) within group (order by $0)", Date, &[Date]),
    form("percentile_disc(0.75) within group (order by $0 desc)", Int4, &[Int4]),
    form("mode() within group (order by $0)", Text, &[Text]),
    form("var_samp($0)", Numeric, &[Numeric]),
    form("stddev_pop($0)", Numeric, &[Int4]),
    form("rank(5) within group (order by $0)", Int8, &[Int4]),
    form("top($0)", Text, &[Text]),
    form("chain($0)", Int4, &[Int4]),
];

/// Of columns of quarters; rounded where the order of the rows could change the last bits.
pub const QUARTER_AGGREGATES: &[Form] = &[
    form("sum($0)", Float8, &[Float8]),
    form("sum($0::float4)", Float4, &[Float8]),
    // Without the sum of two zeros, 0 and -0 are one value, and it is whichever came first.
    form("sum(distinct $0 + 0::float8)", Float8, &[Float8]),
    form("avg($0)", Float8, &[Float8]),
    form("avg($0::float4)", Float8, &[Float8]),
    form("sum($0 * $1)", Float8, &[Float8, Float8]),
    form("stddev($0)::float4", Float4, &[Float8]),
    form("stddev_pop($0)::float4", Float4, &[Float8]),
    form("variance($0)::float4", Float4, &[Float8]),
    form("var_pop($0)::float4", Float4, &[Float8]),
    form("round(corr($0, $1)::numeric, 9)", Numeric, &[Float8, Float8]),
    form("round(covar_samp($0, $1)::numeric, 9)", Numeric, &[Float8, Float8]),
    form("round(regr_slope($0, $1)::numeric, 9)", Numeric, &[Float8, Float8]),
    form("regr_count($0, $1)", Int8, &[Float8, Float8]),
    form("round(regr_avgx($0, $1)::numeric, 9)", Numeric, &[Float8, Float8]),
    // Without the sum the median of 0 and -0 would be whichever came first.
    form("percentile_cont(0.5) within group (order by $0 + 0::float8)", Float8, &[Float8]),
];

/// Of aggregates and keys. None of these raises.
pub const OVER_AGGREGATES: &[Form] = &[
    form("($0 / nullif($1, 0))", Numeric, &[Numeric, Int8]),
    form("round($0, 2)", Numeric, &[Numeric]),
    form("($0 + $1)", Numeric, &[Numeric, Numeric]),
    form("(100.00 * $0 / nullif($1, 0))", Numeric, &[Int8, Numeric]),
    form("($0 * 2.5)::float8", Float8, &[Float8]),
    form("($0 / nullif($1, 0))", Float8, &[Float8, Int8]),
    form("coalesce($0, 0)", Int8, &[Int8]),
    form("($0 % 1000 - $1 % 1000)", Int8, &[Int8, Int8]),
    form("case when $0 > 3 then $1 end", Text, &[Int8, Text]),
    form("($0 || '/' || $1)", Text, &[Text, Int8]),
    form("upper($0)", Text, &[Text]),
    form("greatest($0, $1)", Date, &[Date, Date]),
    form("($0 > $1)", Bool, &[Int8, Int4]),
    form("date_trunc('month', $0)", Timestamp, &[Timestamp]),
];

pub const HAVING: &[Form] = &[
    form("$0 > 1", Bool, &[Int8]),
    form("$0 <= $1", Bool, &[Int8, Int8]),
    form("$0 > 10", Bool, &[Numeric]),
    form("$0 is not null", Bool, &[Text]),
    form("$0 < 'm'", Bool, &[Text]),
    form("$0 between date '2000-01-01' and date '2020-02-01'", Bool, &[Date]),
    form("$0 is not true", Bool, &[Bool]),
    form("($0 >= 0 or $1 < 3)", Bool, &[Float8, Int8]),
];

/// Of a subquery's column and an outer one.
pub const CORRELATED_AGGREGATES: &[Form] = &[
    form("count(case when $0 < $1 then 1 end)", Int8, &[Int4, Int4]),
    form("max($0 || $1)", Text, &[Text, Text]),
    form("sum($0::numeric - $1)", Numeric, &[Int4, Int8]),
];

/// Is this the form of an aggregate?
pub fn is_aggregate(text: &str) -> bool {
    AGGREGATES.iter().chain(QUARTER_AGGREGATES).chain(CORRELATED_AGGREGATES).any(|form| form.text == text)
}

/// Their values depend on no order among peers.
pub const WINDOWS: &[Form] = &[
    form("count(*) over (partition by $0)", Int8, &[Int4]),
    form("sum($0) over (partition by $1 order by $2)", Int8, &[Int4, Text, Date]),
    form("sum($0) over (partition by $1)", Numeric, &[Numeric, Char]),
    form("avg($0) over (order by $1 desc nulls last)", Numeric, &[Int4, Date]),
    form("max($0) over (order by $1)", Text, &[Text, Int4]),
    form("rank() over (partition by $0 order by $1 desc)", Int8, &[Int4, Timestamp]),
    form("dense_rank() over (order by $0, $1)", Int8, &[Text, Int4]),
    form("dense_rank() over (partition by $0 order by $1)", Int8, &[Numeric, Float8]),
    form("percent_rank() over (order by $0)", Float8, &[Int4]),
    form("cume_dist() over (partition by $1 order by $0 desc)", Float8, &[Int4, Mood]),
    form("min($0) over (partition by $1 order by $0 groups between 1 preceding and current row)", Int4, &[Int4, Text]),
    form("first_value($0) over (partition by $1 order by $0 nulls first)", Date, &[Date, Int4]),
    form(
        "last_value($0) over (partition by $1 order by $0 range between current row and unbounded following)",
        Date,
        &[Date, Int4],
    ),
    form("count($0) over (order by $1 range between 3 preceding and current row)", Int8, &[Text, Int4]),
    form("sum($0) over (order by $1 range between 2 preceding and 1 following)", Int8, &[Int4, Int8]),
    form("count(*) filter (where $0 > 5) over (partition by $1)", Int8, &[Int4, Bool]),
];

/// Of three columns which are the whole SELECT list besides. All three are in PARTITION BY and ORDER BY where rows are
/// counted: then rows that tie are the same row, and it is no matter which comes first. Without a type: the first's.
pub const ROW_WINDOWS: &[(&str, Option<Ty>)] = &[
    ("row_number() over (order by $0, $1, $2)", Some(Int8)),
    ("row_number() over (partition by $1 order by $0 desc, $2)", Some(Int8)),
    ("rank() over (partition by $0 order by $1 nulls first)", Some(Int8)),
    ("ntile(3) over (order by $2 desc nulls last, $1, $0)", Some(Int4)),
    ("lag($0) over (partition by $1 order by $0, $2 desc)", None),
    ("lead($0, 2) over (order by $1 nulls first, $0, $2)", None),
    ("lag($0, 1, $0) over (partition by $1, $2 order by $0)", None),
    ("first_value($0) over (partition by $1 order by $2, $0)", None),
    (
        "nth_value($0, 2) over (partition by $2 order by $0, $1 rows between unbounded preceding and unbounded following)",
        None,
    ),
    ("last_value($0) over (order by $2, $0, $1 rows between current row and 3 following)", None),
    ("count($0) over (order by $0, $1, $2 rows between 2 preceding and current row)", Some(Int8)),
    ("count($0) over (order by $1, $2, $0 groups between 1 preceding and 1 following exclude current row)", Some(Int8)),
];

/// Over groups: of aggregates.
pub const GROUP_WINDOWS: &[Form] = &[
    form("sum($0) over ()", Numeric, &[Int8]),
    form("rank() over (order by $0 desc)", Int8, &[Int8]),
    form("sum($0) over (order by $0)", Numeric, &[Int8]),
    form("max($0) over (order by $1)", Int8, &[Int8, Int8]),
    form("(100 * $0 / nullif(sum($0) over (), 0))", Numeric, &[Int8]),
];

/// Functions in FROM, with their columns.
pub const FUNCTIONS: &[(&str, &[Ty])] = &[
    ("generate_series(3, 40) with ordinality", &[Int4, Int8]),
    ("generate_series(0, 50, 7)", &[Int4]),
    ("unnest(array[1, 5, 7, null, 7, 20], array['a', 'ab', null, ' ', '']) with ordinality", &[Int4, Text, Int8]),
    ("unnest('{sad,ok,ok}'::mood[])", &[Mood]),
    ("rows from (generate_series(1, 5), generate_series(2, 9)) with ordinality", &[Int4, Int4, Int8]),
    ("regexp_split_to_table('a,b,ab,,7', ',') with ordinality", &[Text, Int8]),
    ("jsonb_array_elements('[1, 1.0, {}, null, [1]]') with ordinality", &[Jsonb, Int8]),
    ("generate_series(timestamp '2020-01-01', timestamp '2020-01-20', interval '12 hours')", &[Timestamp]),
];

/// Queries in FROM that the language has no structure for.
pub const WRITTEN: &[(&str, &[Ty])] = &[
    (
        "(with recursive w (a, b) as (select k, 1 from few where k < 20 union select a + 7, b + 1 from w where b < 4) \
         select a, b from w)",
        &[Int4, Int4],
    ),
    (
        "(with recursive w (a, b, c) as (select k, t, 1 from few union all \
         select m.k, m.t, w.c + 1 from w join never_null m on m.i4 = w.a where w.c < 3) select a, b, c from w)",
        &[Int4, Text, Int4],
    ),
    ("(select k, t, n2 from mid tablesample bernoulli (40) repeatable (3))", &[Int4, Text, Numeric]),
    ("(table one union all table few)", ALL),
    ("(select k, t from few intersect all select k, t from mid)", &[Int4, Text]),
    (
        "(select k, i4, count(*) over w, sum(i4) over w from mid window w as (partition by k))",
        &[Int4, Int4, Int8, Int8],
    ),
    ("(select k, (select min(d) from few where few.k = mid.k) from mid)", &[Int4, Date]),
    ("(select k, generate_series(1, i2 & 3) from few)", &[Int4, Int4]),
    ("(select k, array_agg(i4 order by i4), max(e) from mid group by k)", &[Int4, Ints, Mood]),
    (
        "(select b, sum(n2), avg(i4), count(distinct t), max(d) from many group by b)",
        &[Bool, Numeric, Numeric, Int8, Date],
    ),
    ("(select k, t, row_number() over (partition by k order by t, i4, d, ctid) from mid)", &[Int4, Text, Int8]),
    ("(select distinct on (k) k, t, d from few order by k, t, d nulls first)", &[Int4, Text, Date]),
    ("(select 5 as c0, 'a'::text as c1)", &[Int4, Text]),
];

/// The types of the tables' columns.
const ALL: &[Ty] = &[
    Int4,
    Int2,
    Int4,
    Int8,
    Numeric,
    Numeric,
    Numeric,
    Numeric,
    Float4,
    Float8,
    Float8,
    Text,
    Char,
    Varchar,
    Date,
    Timestamp,
    Timestamptz,
    Interval,
    Time,
    Bool,
    Uuid,
    Bytea,
    Jsonb,
    Ints,
    Mood,
    Domain,
    Pair,
];

/// One argument, and a query of one column or one value.
pub const QUERY_TESTS: &[&str] =
    &["$0 = any ($q)", "$0 >= all ($q)", "($0 in ($q)) is not true", "($0 is null or $0 not in ($q))"];
pub const VALUE_TESTS: &[&str] = &["$0 = ($q)", "$0 >= ($q)", "$0 is distinct from ($q)", "coalesce($0 < ($q), true)"];

pub const EXPRESSION_KEYS: &[(Ty, &str)] = &[
    (Int4, "$0 % 7 = $1 % 7"),
    (Int4, "$0 = ($1 & 31)"),
    (Int4, "$0::int8 + 1 = $1::int8"),
    (Int4, "coalesce($0, 0) = $1"),
    (Int4, "coalesce($0, -1) = coalesce($1, -1)"),
    (Int4, "($0 is null) = ($1 is null) and $0 = $1"),
    (Text, "coalesce($0, '') = $1"),
    (Text, "lower($0) = lower($1)"),
    (Text, "length($0) = length($1)"),
    (Text, "md5($0) = md5($1)"),
    (Numeric, "round($0, 1) = round($1, 1)"),
    (Timestamp, "date_trunc('day', $0) = $1"),
    (Timestamp, "extract(day from $0) = extract(day from $1)"),
    (Jsonb, "$0 ->> 'k' = $1 ->> 'k'"),
];

/// Types that `=` compares with this one, other than itself.
pub fn partners(ty: Ty) -> Vec<Ty> {
    const PAIRS: &[(Ty, Ty)] = &[
        (Int2, Int4),
        (Int2, Int8),
        (Int4, Int8),
        (Int4, Numeric),
        (Int8, Numeric),
        (Int2, Numeric),
        (Int4, Float8),
        (Int8, Float8),
        (Int4, Float4),
        (Float4, Float8),
        (Numeric, Float8),
        (Char, Varchar),
        (Char, Text),
        (Varchar, Text),
        (Date, Timestamp),
        (Date, Timestamptz),
        (Timestamp, Timestamptz),
        (Domain, Int4),
        (Domain, Numeric),
    ];
    let mut found = Vec::new();
    for (a, b) in PAIRS {
        if *a == ty {
            found.push(*b);
        } else if *b == ty {
            found.push(*a);
        }
    }
    found
}

pub fn literals(ty: Ty) -> &'static [&'static str] {
    match ty {
        Int2 => &["0", "1", "7", "(-3)", "32767", "(-32768)", "null"],
        Int4 => &["0", "1", "2", "5", "7", "20", "(-3)", "2147483647", "(-2147483648)", "null"],
        Int8 => &["0", "1", "7", "20", "2147483648", "9223372036854775807", "null"],
        Numeric => &["0", "1", "1.00", "7.5", "(-0.01)", "'NaN'", "'Infinity'", "1e20", "99.999", "null"],
        Float4 => &["0", "'-0'", "1.5", "'NaN'", "'Infinity'", "16777217", "null"],
        Float8 => &["0", "'-0'", "1.5", "7", "'NaN'", "'-Infinity'", "1e300", "null"],
        Text => &["''", "' '", "'a'", "'A'", "'ab'", "'a '", "'ß'", "'日本'", "'7'", "'\\'", "null"],
        Char => &["''", "'a'", "'a  '", "'ab'", "'é'", "null"],
        Varchar => &["''", "'a'", "'a '", "'ab'", "'日本'", "null"],
        Date => &["'2020-01-05'", "'2020-02-01'", "'infinity'", "'-infinity'", "'2000-02-29'", "null"],
        Timestamp => &["'2020-01-05'", "'2020-01-03 00:00:00.000001'", "'infinity'", "'-infinity'", "null"],
        Timestamptz => &["'2020-01-05 00:00+00'", "'2020-01-10 12:00+00'", "'infinity'", "null"],
        Interval => &["'1 mon'", "'30 days'", "'0'", "'24:00:00'", "null"],
        Time => &["'00:00'", "'24:00'", "'12:00'", "null"],
        Bool => &["true", "false", "null"],
        Uuid => &["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "null"],
        Bytea => &["'\\x'", "'\\x00'", "'\\xff00'", "null"],
        Jsonb => &["'1'", "'1.0'", "'{}'", "'[1]'", "'{\"k\": 1}'", "null"],
        Ints => &["'{}'", "'{1,2,3}'", "'{7}'", "'{NULL}'", "null"],
        Mood => &["'ok'", "'sad'", "'happy'", "null"],
        Domain => &["1", "7", "50", "null"],
        Pair => &["'(1,a)'", "'(,)'", "'(1,)'", "null"],
        Row => &["null"],
        Tid => &["'(0,1)'", "'(0,7)'", "null"],
        Oid => &["0", "1259", "null"],
    }
}
